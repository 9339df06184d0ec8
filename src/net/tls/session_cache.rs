//! Sessions that clients may resume, which saves them and us a signature.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::pki_types::UnixTime;
use rustls::server::StoresServerSessions;
use rustls::time_provider::TimeProvider;

/// The loop's time in seconds since the epoch, for rustls, as of the last connection accepted.
#[derive(Debug, Default)]
pub struct AcceptTime(AtomicU64);

impl AcceptTime {
    /// Takes over the loop's time.
    pub fn set(&self, now_s: u64) {
        self.0.store(now_s, Ordering::Relaxed);
    }

    fn now_s(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl TimeProvider for AcceptTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.now_s())))
    }
}

/// Sessions by the name that their clients know them by, the oldest first to go. The lock is what
/// rustls asks for; it is never contended, and only handshakes take it.
#[derive(Debug)]
pub struct SessionCache {
    time: Arc<AcceptTime>,
    most: usize,
    life_s: u64,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    sessions: BTreeMap<Vec<u8>, Stored>,
    /// All that were put in, those taken out since too, by age.
    by_age: VecDeque<(u64, Vec<u8>)>,
}

#[derive(Debug)]
struct Stored {
    until_s: u64,
    secret: Vec<u8>,
}

impl SessionCache {
    /// One for at most so many sessions (0: any number), each for so many seconds.
    pub fn new(time: Arc<AcceptTime>, most: usize, life_s: u64) -> SessionCache {
        SessionCache { time, most: if most == 0 { usize::MAX } else { most }, life_s, kept: Mutex::default() }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Kept, u64) -> T) -> T {
        let now_s = self.time.now_s();
        // A panic elsewhere leaves nothing half done in here.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut kept, now_s)
    }
}

impl StoresServerSessions for SessionCache {
    fn put(&self, key: Vec<u8>, secret: Vec<u8>) -> bool {
        self.with(|kept, now_s| {
            while let Some((until_s, oldest)) = kept.by_age.front()
                && (*until_s < now_s || kept.by_age.len() >= self.most)
            {
                kept.sessions.remove(oldest);
                kept.by_age.pop_front();
            }
            let until_s = now_s.saturating_add(self.life_s);
            kept.by_age.push_back((until_s, key.clone()));
            kept.sessions.insert(key, Stored { until_s, secret });
            true
        })
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.with(|kept, now_s| {
            let stored = kept.sessions.get(key)?;
            (stored.until_s >= now_s).then(|| stored.secret.clone())
        })
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.with(|kept, now_s| {
            let stored = kept.sessions.remove(key)?;
            (stored.until_s >= now_s).then_some(stored.secret)
        })
    }

    fn can_cache(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(most: usize) -> (Arc<AcceptTime>, SessionCache) {
        let time = Arc::new(AcceptTime::default());
        time.set(1000);
        (time.clone(), SessionCache::new(time, most, 300))
    }

    #[test]
    fn a_session_lives_as_long_as_it_may() {
        let (time, cache) = cache(0);
        assert!(cache.put(b"a".to_vec(), b"secret".to_vec()));
        time.set(1300);
        assert_eq!(cache.get(b"a").as_deref(), Some(&b"secret"[..]));
        time.set(1301);
        assert_eq!(cache.get(b"a"), None);
        assert_eq!(cache.take(b"a"), None);
    }

    #[test]
    fn one_that_is_taken_is_gone() {
        let (_, cache) = cache(10);
        cache.put(b"a".to_vec(), b"secret".to_vec());
        assert_eq!(cache.take(b"a").as_deref(), Some(&b"secret"[..]));
        assert_eq!(cache.take(b"a"), None);
    }

    /// Handshakes without end must not fill the memory.
    #[test]
    fn the_oldest_go_first() {
        let (time, cache) = cache(3);
        for number in 0..1000u32 {
            cache.put(number.to_be_bytes().to_vec(), vec![1]);
            if number % 2 == 0 {
                cache.take(&number.to_be_bytes());
            }
            let kept = cache.kept.lock().expect("nobody panicked");
            assert!(kept.by_age.len() <= 3 && kept.sessions.len() <= 3);
        }
        assert_eq!(cache.get(&996u32.to_be_bytes()), None);
        assert!(cache.get(&999u32.to_be_bytes()).is_some());
        time.set(2000);
        cache.put(b"new".to_vec(), vec![2]);
        assert_eq!(cache.kept.lock().expect("nobody panicked").by_age.len(), 1);
    }
}
