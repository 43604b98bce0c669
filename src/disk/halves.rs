//! Work on many files, of which the kernel does most: one half of it beside the other, where there is a second CPU. It
//! knows nothing of the files.

use std::thread;

/// Fewer are done sooner than a thread is begun.
const FEW: usize = 24;

/// The answer for each, in their order.
pub fn by_halves<T: Sync, R: Send>(all: &[T], answer: impl Fn(&T) -> R + Sync) -> Vec<R> {
    if all.len() < FEW || !has_two_cpus() {
        return all.iter().map(answer).collect();
    }
    let (first, second) = all.split_at(all.len() / 2);
    let part = |half: &[T]| half.iter().map(&answer).collect::<Vec<R>>();
    thread::scope(|scope| {
        let beside = thread::Builder::new().spawn_scoped(scope, || part(second));
        let mut answers = part(first);
        match beside {
            Ok(beside) => answers
                .extend(beside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))),
            // As many threads as this user may have.
            Err(_) => answers.extend(part(second)),
        }
        answers
    })
}

fn has_two_cpus() -> bool {
    rustix::thread::sched_getaffinity(None).is_ok_and(|cpus| cpus.count() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_keep_their_order() {
        for count in [0, 1, FEW - 1, FEW, FEW + 1, 1000] {
            let all: Vec<usize> = (0..count).collect();
            let doubled: Vec<usize> = all.iter().map(|number| 2 * number).collect();
            assert_eq!(by_halves(&all, |number| 2 * number), doubled);
        }
    }
}
