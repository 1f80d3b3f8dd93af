//! Counts primes. Nothing here knows of checkpoints: the program can be stopped anywhere in
//! its loops and goes on elsewhere.

fn is_prime(n: u32) -> bool {
    n >= 2 && (2..).take_while(|d| *d <= n / d).all(|d| n % d != 0)
}

fn main() {
    let limit: u32 = std::env::args().nth(1).and_then(|limit| limit.parse().ok()).unwrap_or(1_000_000);
    let step = (limit / 10).max(1);
    let mut count = 0;
    for n in 1..=limit {
        count += u32::from(is_prime(n));
        if n % step == 0 {
            println!("{count} primes up to {n}");
        }
    }
}
