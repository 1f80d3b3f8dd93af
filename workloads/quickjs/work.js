// What an interpreter meets: closures, classes, generators, exceptions, regular expressions, big
// integers, collections, JSON, promises. No clock and no randomness but its own.

let state = 12345;
const random = (limit) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state % limit;
};

class Account {
    #balance = 0n;
    constructor(name) { this.name = name; }
    add(amount) {
        if (amount < 0n && this.#balance + amount < 0n) throw new RangeError(`${this.name} lacks ${-amount}`);
        this.#balance += amount;
        return this;
    }
    toJSON() { return { name: this.name, balance: String(this.#balance) }; }
}

function* primes() {
    const found = [];
    for (let n = 2; ; n++) {
        if (found.every((prime) => prime * prime > n || n % prime)) {
            found.push(n);
            yield n;
        } else if (found.every((prime) => n % prime)) {
            found.push(n);
            yield n;
        }
    }
}

// A parser and an evaluator of arithmetic.
function evaluate(text) {
    const tokens = text.match(/\d+|[-+*()]/g);
    let at = 0;
    const atom = () => {
        const token = tokens[at++];
        if (token === "(") { const value = sum(); at++; return value; }
        if (token === "-") return -atom();
        return BigInt(token);
    };
    const product = () => {
        let value = atom();
        while (tokens[at] === "*") { at++; value *= atom(); }
        return value;
    };
    const sum = () => {
        let value = product();
        while (tokens[at] === "+" || tokens[at] === "-") value = tokens[at++] === "+" ? value + product() : value - product();
        return value;
    };
    return sum();
}

const formula = (depth) => depth === 0 ? String(random(1000))
    : `(${formula(depth - 1)}${"+-*"[random(3)]}${formula(depth - 1)})`;

const digest = (text) => {
    let hash = 2166136261;
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619) >>> 0;
    return hash.toString(16).padStart(8, "0");
};

async function settle(round) {
    const parts = await Promise.all([1, 2, 3].map(async (n) => (await n) * round));
    return parts.reduce((a, b) => a + b);
}

for (let round = 1; round <= rounds; round++) {
    const accounts = new Map();
    let refused = 0;
    for (let i = 0; i < 400; i++) {
        const name = `account ${random(50)}`;
        if (!accounts.has(name)) accounts.set(name, new Account(name));
        try {
            accounts.get(name).add(BigInt(random(2000) - 1000) * 10n ** BigInt(random(20)));
        } catch (error) {
            if (!(error instanceof RangeError)) throw error;
            refused++;
        }
    }
    const json = JSON.stringify([...accounts.values()].sort((a, b) => a.name < b.name ? -1 : 1));
    const again = JSON.stringify(JSON.parse(json), null, 1).replace(/"(\w+)":/g, (_, key) => key.toUpperCase());
    const sieve = [];
    for (const prime of primes()) if (sieve.push(prime) === 120) break;
    const fibonacci = (n) => n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
    const words = new Set(again.split(/\W+/u).filter(Boolean));
    const floats = Float64Array.from({ length: 500 }, (_, i) => Math.sin(i * round)).sort();
    print(round, refused, digest(json), digest(again), sieve.at(-1), fibonacci(14), words.size,
        digest(String(evaluate(formula(7)))), digest(floats.join()));
    settle(round).then((sum) => print("settled", sum));
}
