//! Names for requests.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::id::RequestId;
use crate::time::Timestamp;

const ID_BYTES: usize = 16;
const BATCH: usize = 32;

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; ID_BYTES * BATCH], used: ID_BYTES * BATCH }) };
}

/// Random bytes for the next names, so that the operating system is asked once for many.
struct Pool {
    bytes: [u8; ID_BYTES * BATCH],
    used: usize,
}

impl Pool {
    fn next(&mut self) -> Option<RequestId> {
        if self.used >= self.bytes.len() {
            getrandom::fill(&mut self.bytes).ok()?;
            self.used = 0;
        }
        let bits = self.bytes.get(self.used..)?.first_chunk()?;
        self.used += ID_BYTES;
        Some(RequestId::from_bits(*bits))
    }
}

/// 128 random bits. A request is not refused for want of a name: without randomness it is told by time and number.
pub(super) fn request_id(received: Timestamp) -> RequestId {
    let random = POOL.try_with(|pool| pool.try_borrow_mut().ok()?.next());
    random.ok().flatten().unwrap_or_else(|| numbered(received))
}

fn numbered(received: Timestamp) -> RequestId {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let text = format!("{:x}-{number:x}", received.as_micros());
    RequestId::parse(&text).unwrap_or_else(|_| RequestId::unnamed())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_differ_on_all_threads() {
        let names = || (0..1000).map(|_| request_id(Timestamp::UNIX_EPOCH)).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(names)).collect();
        let all: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert!(all.iter().all(|name| name.as_str().len() == 22));
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 4000);
    }

    #[test]
    fn without_randomness_names_still_differ() {
        let names: HashSet<_> = (0..100).map(|_| numbered(Timestamp::MIN)).collect();
        assert_eq!(names.len(), 100);
    }
}
