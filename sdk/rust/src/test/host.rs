//! The stand-in for the host: a clock, and what the capabilities keep.

use super::*;

/// Steers what stands for the host in this thread: every test has its own, for
/// the test runner gives each a thread.
pub struct Host;

struct State {
    now: i64,
    random: u64,
    lines: Lines,
    metrics: HashMap<String, i64>,
    counters: HashMap<Vec<u8>, (i64, i64)>, // value, end of the window
    buckets: HashMap<Vec<u8>, (f64, i64)>,  // tokens, when
    values: Values,
    verify: Option<Verify>,
    full: bool,
}

std::thread_local!(static STATE: RefCell<State> = RefCell::new(State {
    now: 0,
    random: 88172645463325252,
    lines: Vec::new(),
    metrics: HashMap::new(),
    counters: HashMap::new(),
    buckets: HashMap::new(),
    values: HashMap::new(),
    verify: None,
    full: false,
}));

fn with<T>(f: impl FnOnce(&mut State) -> T) -> T {
    STATE.with(|state| f(&mut state.borrow_mut()))
}

impl Host {
    /// What time it is, Unix nanoseconds; 0 at first.
    pub fn now() -> i64 {
        with(|s| s.now)
    }

    /// Sets the time.
    pub fn set_now(unix_ns: i64) {
        with(|s| s.now = unix_ns);
    }

    /// Lets milliseconds pass.
    pub fn pass_ms(ms: i64) {
        with(|s| s.now += ms * 1_000_000);
    }

    /// What was logged since it was asked last.
    pub fn lines() -> Vec<(Level, String)> {
        with(|s| std::mem::take(&mut s.lines))
    }

    /// A metric's value.
    pub fn metric(name: &str) -> i64 {
        with(|s| s.metrics.get(name).copied().unwrap_or(0))
    }

    /// What verifies signatures; before, there are no keys.
    pub fn set_verify(verify: impl Fn(&str, &str, &[u8], &[u8]) -> bool + 'static) {
        with(|s| s.verify = Some(Box::new(verify)));
    }

    /// From now on nothing new finds room: counters, buckets, values and metrics
    /// that are not there yet are refused as over the quota.
    pub fn set_full(full: bool) {
        with(|s| s.full = full);
    }
}

/// The host's functions, as a wasm module imports them.
pub(crate) mod imports {
    use super::*;

    unsafe fn bytes<'a>(p: *const u8, n: u32) -> &'a [u8] {
        unsafe { core::slice::from_raw_parts(p, n as usize) }
    }

    unsafe fn text(p: *const u8, n: u32) -> String {
        String::from_utf8_lossy(unsafe { bytes(p, n) }).into_owned()
    }

    fn bad_key(n: u32) -> bool {
        n == 0 || n > 255
    }

    pub unsafe fn log(level: i32, p: *const u8, n: u32) {
        let level = [Level::Debug, Level::Info, Level::Warn, Level::Error][level.clamp(0, 3) as usize];
        let line = unsafe { text(p, n) };
        with(|s| s.lines.push((level, line)));
    }

    pub unsafe fn now() -> i64 {
        Host::now()
    }

    /// The same bytes in every run.
    pub unsafe fn random(p: *mut u8, n: u32) -> i32 {
        if n > 65536 {
            return -1;
        }
        let to = unsafe { core::slice::from_raw_parts_mut(p, n as usize) };
        with(|s| {
            for b in to {
                s.random ^= s.random << 13;
                s.random ^= s.random >> 7;
                s.random ^= s.random << 17;
                *b = s.random as u8;
            }
        });
        0
    }

    #[allow(clippy::too_many_arguments)]
    pub unsafe fn verify(
        alg: *const u8,
        alg_n: u32,
        kid: *const u8,
        kid_n: u32,
        message: *const u8,
        message_n: u32,
        signature: *const u8,
        signature_n: u32,
    ) -> i32 {
        if alg_n == 0 {
            return -1;
        }
        let (alg, kid) = unsafe { (text(alg, alg_n), text(kid, kid_n)) };
        let (message, signature) = unsafe { (bytes(message, message_n), bytes(signature, signature_n)) };
        with(|s| s.verify.as_ref().map_or(-2, |verify| verify(&alg, &kid, message, signature) as i32))
    }

    pub unsafe fn metric_add(name: *const u8, n: u32, delta: i64) -> i32 {
        let name = unsafe { text(name, n) };
        let fit = |(i, b): (usize, u8)| b.is_ascii_lowercase() || b == b'_' || (i > 0 && b.is_ascii_digit());
        if name.is_empty() || name.len() > 64 || delta < 0 || !name.bytes().enumerate().all(fit) {
            return -1;
        }
        with(|s| {
            if s.full && !s.metrics.contains_key(&name) {
                return -4;
            }
            *s.metrics.entry(name).or_default() += delta;
            0
        })
    }

    pub unsafe fn counter_add(key: *const u8, n: u32, delta: i64, window_ms: i64) -> i64 {
        if bad_key(n) || window_ms < 0 {
            return -1;
        }
        let key = unsafe { bytes(key, n) };
        with(|s| {
            let counter = s.counters.get(key).copied().filter(|&(_, end)| end == 0 || s.now < end);
            if delta == 0 || (s.full && counter.is_none()) {
                return counter.map_or(if delta == 0 { 0 } else { -4 }, |(value, _)| value);
            }
            let end = if window_ms == 0 { 0 } else { s.now + window_ms * 1_000_000 };
            let (value, end) = counter.unwrap_or((0, end));
            let value = value.saturating_add(delta).max(0);
            s.counters.insert(key.to_vec(), (value, end));
            value
        })
    }

    pub unsafe fn bucket_take(key: *const u8, n: u32, tokens: i64, burst: i64, refill_per_s: i64) -> i64 {
        if bad_key(n) || tokens < 0 || burst < 1 || tokens > burst || refill_per_s < 0 {
            return -1;
        }
        let key = unsafe { bytes(key, n) };
        with(|s| {
            if s.full && !s.buckets.contains_key(key) {
                return -4;
            }
            let (have, when) = s.buckets.get(key).copied().unwrap_or((burst as f64, s.now));
            let have = (have + (s.now - when) as f64 * refill_per_s as f64 / 1e9).min(burst as f64);
            let lacking = tokens as f64 - have;
            let take = if lacking <= 0.0 { tokens as f64 } else { 0.0 };
            s.buckets.insert(key.to_vec(), (have - take, s.now));
            if lacking <= 0.0 {
                0
            } else if refill_per_s == 0 {
                i64::MAX
            } else {
                ((lacking * 1000.0 / refill_per_s as f64).ceil() as i64).max(1)
            }
        })
    }

    pub unsafe fn kv_get(key: *const u8, n: u32, out: *mut u8, cap: u32) -> i32 {
        if bad_key(n) {
            return -1;
        }
        let key = unsafe { bytes(key, n) };
        with(|s| match s.values.get(key) {
            Some((value, end)) if end.map_or(true, |end| s.now < end) => {
                if value.len() <= cap as usize {
                    unsafe { core::ptr::copy_nonoverlapping(value.as_ptr(), out, value.len()) };
                }
                value.len() as i32
            }
            _ => -3,
        })
    }

    pub unsafe fn kv_set(key: *const u8, n: u32, value: *const u8, value_n: u32, ttl_ms: i64) -> i32 {
        if bad_key(n) {
            return -1;
        }
        let (key, value) = unsafe { (bytes(key, n), bytes(value, value_n)) };
        with(|s| {
            if ttl_ms < 0 {
                s.values.remove(key);
                return 0;
            }
            if s.full && !s.values.contains_key(key) {
                return -4;
            }
            let end = if ttl_ms == 0 { None } else { Some(s.now + ttl_ms * 1_000_000) };
            s.values.insert(key.to_vec(), (value.to_vec(), end));
            0
        })
    }
}
