// A network of one hidden layer, trained by gradient descent with momentum, a batch at a time.
// The four kernels run one after the other; `hide` and `judge` alone evaluate.

const INPUTS = 64u;
const HIDDEN = 32u;
const CLASSES = 10u;
const RATE = 0.1;
const MOMENTUM = 0.9;

// Where the parts of `parameters` start: weights by input and hidden unit, biases, and the same
// for the classes.
const HIDDEN_BIASES = INPUTS * HIDDEN;
const CLASS_WEIGHTS = HIDDEN_BIASES + HIDDEN;
const CLASS_BIASES = CLASS_WEIGHTS + HIDDEN * CLASSES;
const PARAMETERS = CLASS_BIASES + CLASSES;

struct Batch {
    first: u32,
    count: u32,
}

struct Unit {
    activation: f32,
    error: f32,
}

struct Verdict {
    loss: f32,
    right: f32,
}

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<storage, read> images: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
// The images in the order in which this epoch takes them.
@group(0) @binding(3) var<storage, read> order: array<u32>;
@group(0) @binding(4) var<storage, read_write> parameters: array<f32>;
@group(0) @binding(5) var<storage, read_write> momentum: array<f32>;
// By place in the batch and hidden unit.
@group(0) @binding(6) var<storage, read_write> units: array<Unit>;
// By place in the batch and digit.
@group(0) @binding(7) var<storage, read_write> errors: array<f32>;
// By place in `order`.
@group(0) @binding(8) var<storage, read_write> verdicts: array<Verdict>;

@compute @workgroup_size(HIDDEN)
fn hide(@builtin(workgroup_id) place: vec3<u32>, @builtin(local_invocation_index) unit: u32) {
    let image = order[batch.first + place.x] * INPUTS;
    var sum = parameters[HIDDEN_BIASES + unit];
    for (var input = 0u; input < INPUTS; input++) {
        sum += images[image + input] * parameters[input * HIDDEN + unit];
    }
    units[place.x * HIDDEN + unit].activation = max(sum, 0.0);
}

@compute @workgroup_size(64)
fn judge(@builtin(global_invocation_id) id: vec3<u32>) {
    let place = id.x;
    if place >= batch.count {
        return;
    }
    var scores: array<f32, CLASSES>;
    var best = 0u;
    for (var digit = 0u; digit < CLASSES; digit++) {
        var sum = parameters[CLASS_BIASES + digit];
        for (var unit = 0u; unit < HIDDEN; unit++) {
            let weight = parameters[CLASS_WEIGHTS + unit * CLASSES + digit];
            sum += units[place * HIDDEN + unit].activation * weight;
        }
        scores[digit] = sum;
        if sum > scores[best] {
            best = digit;
        }
    }
    let highest = scores[best];
    var total = 0.0;
    for (var digit = 0u; digit < CLASSES; digit++) {
        total += exp(scores[digit] - highest);
    }
    let label = labels[order[batch.first + place]];
    for (var digit = 0u; digit < CLASSES; digit++) {
        let probability = exp(scores[digit] - highest) / total;
        errors[place * CLASSES + digit] = probability - f32(digit == label);
    }
    let loss = log(total) + highest - scores[label];
    verdicts[batch.first + place] = Verdict(loss, f32(best == label));
}

@compute @workgroup_size(HIDDEN)
fn blame(@builtin(workgroup_id) place: vec3<u32>, @builtin(local_invocation_index) unit: u32) {
    var sum = 0.0;
    for (var digit = 0u; digit < CLASSES; digit++) {
        let weight = parameters[CLASS_WEIGHTS + unit * CLASSES + digit];
        sum += errors[place.x * CLASSES + digit] * weight;
    }
    let at = place.x * HIDDEN + unit;
    units[at].error = select(0.0, sum, units[at].activation > 0.0);
}

@compute @workgroup_size(64)
fn learn(@builtin(global_invocation_id) id: vec3<u32>) {
    let parameter = id.x;
    if parameter >= PARAMETERS {
        return;
    }
    var gradient = 0.0;
    for (var place = 0u; place < batch.count; place++) {
        gradient += slope(parameter, place);
    }
    momentum[parameter] = MOMENTUM * momentum[parameter] + gradient / f32(batch.count);
    parameters[parameter] -= RATE * momentum[parameter];
}

// How the loss of the image at `place` changes with a parameter.
fn slope(parameter: u32, place: u32) -> f32 {
    if parameter < HIDDEN_BIASES {
        let image = order[batch.first + place] * INPUTS;
        let unit = units[place * HIDDEN + parameter % HIDDEN];
        return images[image + parameter / HIDDEN] * unit.error;
    }
    if parameter < CLASS_WEIGHTS {
        return units[place * HIDDEN + parameter - HIDDEN_BIASES].error;
    }
    if parameter < CLASS_BIASES {
        let weight = parameter - CLASS_WEIGHTS;
        let unit = units[place * HIDDEN + weight / CLASSES];
        return unit.activation * errors[place * CLASSES + weight % CLASSES];
    }
    return errors[place * CLASSES + parameter - CLASS_BIASES];
}
