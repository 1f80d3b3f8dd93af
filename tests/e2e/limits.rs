//! Limits of memory and time, and programs that do what is forbidden.

use wherry_tests::Home;

const CAPTURED: i32 = 85;
const TIME_LIMIT: i32 = 124;
const TRAPPED: i32 = 134;

#[test]
fn memory_grows_up_to_its_limit() {
    let home = Home::new();
    let module = home.program("grow");
    let grown = |limit: &str| home.wherry(["run", "--memory", limit, module.to_str().unwrap()]);
    // One page is there at the start, so that the last MiB does not fit.
    grown("8MiB").expect(7);
    grown("64KiB").expect(0);
    grown("1KiB").expect_refusal(78, &["memory", "65536", "1024"]);
}

#[test]
fn an_infinite_loop_ends_with_its_cpu_time() {
    ends_with_its_time("--cpu-time=200ms", "cpu time");
}

#[test]
fn an_infinite_loop_ends_with_its_wall_time() {
    ends_with_its_time("--wall-time=200ms", "wall time");
}

/// The limit holds for the job's whole life: whoever resumes it gets no more.
#[track_caller]
fn ends_with_its_time(limit: &str, word: &str) {
    let home = Home::new();
    let (module, checkpoint) = (home.program("spin"), home.file("spin.ckpt"));
    let to = format!("--checkpoint-to={}", checkpoint.display());
    let done = home.wherry(["run", limit, &to, module.to_str().unwrap()]);
    let done = done.expect(TIME_LIMIT);
    assert_eq!(done.text(), "running\n");
    assert!(done.stderr.to_lowercase().contains(word), "{}", done.stderr);

    let other = Home::new();
    let module = format!("--module={}", module.display());
    let done = other.wherry(["resume", &module, checkpoint.to_str().unwrap()]);
    assert_eq!(done.expect(TIME_LIMIT).text(), "");
}

#[test]
fn a_trap_names_the_functions_that_led_to_it() {
    let home = Home::new();
    let done = home.wherry(["run", home.program("trap").to_str().unwrap()]);
    let functions = ["out of bounds", "load_beyond_the_end", "careless"];
    done.expect_refusal(TRAPPED, &functions);
}

#[test]
fn a_trap_after_a_capture_is_the_same_trap() {
    let home = Home::new();
    let (module, checkpoint) = (home.program("trap"), home.file("c"));
    let (module, to) = (
        module.to_str().unwrap(),
        format!("--checkpoint-to={}", checkpoint.display()),
    );
    home.wherry(["run", "--checkpoint-at=500", &to, module])
        .expect(CAPTURED);
    let done = home.wherry(["resume", "--module", module, checkpoint.to_str().unwrap()]);
    done.expect_refusal(TRAPPED, &["out of bounds", "load_beyond_the_end"]);
}
