//! Chunks of huge pages, prepared ahead of need by one helper thread per process.
//!
//! A worker that takes a chunk says how many should be ready for the next time, and wakes the helper. It never waits:
//! if the pool is locked or empty, it proceeds without a prepared chunk. The helper also unmaps the chunks of dropped
//! tables, because unmapping is as slow as mapping.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::Thread;

use super::page::{CHUNK_SIZE, Pages, unpin};

#[derive(Default)]
struct Stock {
    ready: Vec<Pages>,
    returned: Vec<Pages>,
    wanted: usize,
}

struct ChunkPool {
    stock: Mutex<Stock>,
    /// `None` if no thread could be started: then no chunk is ever ready.
    helper: OnceLock<Option<Thread>>,
}

static POOL: ChunkPool = ChunkPool {
    stock: Mutex::new(Stock {
        ready: Vec::new(),
        returned: Vec::new(),
        wanted: 0,
    }),
    helper: OnceLock::new(),
};

/// Takes a prepared chunk if one is available, and requests `ahead` more.
pub(super) fn take(ahead: usize) -> Option<Pages> {
    let taken = POOL.stock.try_lock().ok().and_then(|mut stock| {
        stock.wanted = ahead;
        stock.ready.pop()
    });
    wake();
    taken
}

/// Returns pages that are no longer used, as their table is gone, and with them what is ready: nobody may grow any more.
/// A table that still does has more prepared when it takes the next chunk.
pub(super) fn give_back(pages: Pages) {
    if let Ok(mut stock) = POOL.stock.try_lock() {
        stock.wanted = 0;
        let ready = std::mem::take(&mut stock.ready);
        stock.returned.extend(ready);
        stock.returned.push(pages);
        drop(stock);
        wake();
    }
}

fn wake() {
    let helper = POOL.helper.get_or_init(|| {
        let builder = std::thread::Builder::new().name("thalweg-chunks".to_owned());
        builder
            .spawn(prepare_for_ever)
            .ok()
            .map(|handle| handle.thread().clone())
    });
    if let Some(helper) = helper {
        helper.unpark();
    }
}

fn prepare_for_ever() {
    unpin();
    loop {
        let (short, returned) = {
            let mut stock = POOL.stock.lock().unwrap_or_else(PoisonError::into_inner);
            (
                stock.ready.len() < stock.wanted,
                std::mem::take(&mut stock.returned),
            )
        };
        let idle = !short && returned.is_empty();
        drop(returned);
        if idle {
            std::thread::park();
        } else if short {
            let Some(mut pages) = Pages::map(CHUNK_SIZE) else {
                std::thread::park();
                continue;
            };
            pages.prepare();
            POOL.stock
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .ready
                .push(pages);
        }
    }
}
