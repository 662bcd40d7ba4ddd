//! Sessions: what a server remembers of a client, found again by a cookie.

use std::cell::RefCell;
use std::collections::BTreeMap;

use netarium_base::{Duration, Instant};
use serde_json::{Map, Value};

/// The most bytes of one session's data, as JSON.
const DATA_MAX: usize = 16 * 1024;

/// The sessions of an application.
#[derive(Debug)]
pub(crate) struct Sessions {
    limit: usize,
    lifetime: Duration,
    all: RefCell<BTreeMap<String, Session>>,
}

/// One client's session.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    last: Instant,
    /// What is remembered.
    pub(crate) data: Map<String, Value>,
}

impl Sessions {
    /// At most so many, each ends after so long without a request.
    pub(crate) fn new(limit: usize, lifetime: Duration) -> Sessions {
        Sessions { limit, lifetime, all: RefCell::default() }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.all.borrow().len()
    }

    /// A session that lives; it lives on from now.
    pub(crate) fn touch(&self, id: &str, now: Instant) -> Option<Session> {
        let mut all = self.all.borrow_mut();
        let session = all.get_mut(id)?;
        if now.since(session.last) >= self.lifetime {
            all.remove(id);
            return None;
        }
        session.last = now;
        Some(session.clone())
    }

    /// Begins a session. `None`: there are too many.
    pub(crate) fn begin(&self, id: String, now: Instant) -> Option<Session> {
        let mut all = self.all.borrow_mut();
        if all.len() >= self.limit {
            all.retain(|_, s| now.since(s.last) < self.lifetime);
        }
        if all.len() >= self.limit {
            return None;
        }
        let session = Session { last: now, data: Map::new() };
        all.insert(id, session.clone());
        Some(session)
    }

    /// Remembers something. False: that is too much, or there is no such session.
    pub(crate) fn put(&self, id: &str, key: &str, value: Value) -> bool {
        let mut all = self.all.borrow_mut();
        let Some(session) = all.get_mut(id) else { return false };
        let old = session.data.insert(key.to_owned(), value);
        let size: usize = session.data.iter().map(|(k, v)| k.len() + v.to_string().len()).sum();
        if size <= DATA_MAX {
            return true;
        }
        match old {
            Some(old) => session.data.insert(key.to_owned(), old),
            None => session.data.remove(key),
        };
        false
    }

    /// Ends a session.
    pub(crate) fn end(&self, id: &str) {
        self.all.borrow_mut().remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_limited_and_end() {
        let at = |s: u64| Instant::from_nanos(s * 1_000_000_000);
        let sessions = Sessions::new(2, Duration::from_secs(10));
        assert!(sessions.begin("a".into(), at(0)).is_some());
        assert!(sessions.begin("b".into(), at(5)).is_some());
        assert!(sessions.begin("c".into(), at(6)).is_none(), "full");
        assert!(sessions.touch("a", at(9)).is_some());
        assert!(sessions.begin("c".into(), at(16)).is_some(), "b has ended");
        assert!(sessions.touch("b", at(16)).is_none());
        assert!(sessions.put("a", "n", 1.into()));
        assert!(!sessions.put("a", "n", "x".repeat(DATA_MAX).into()));
        assert_eq!(sessions.touch("a", at(16)).unwrap().data["n"], 1);
        assert!(sessions.touch("a", at(26)).is_none());
        sessions.end("c");
        assert_eq!(sessions.len(), 0);
    }
}
