//! Capabilities: functions of the host. A module imports those that it calls, and
//! its configuration has to grant them under `capabilities:`.

#[cfg(not(target_arch = "wasm32"))]
use crate::test::imports;
#[cfg(target_arch = "wasm32")]
use wasm as imports;

/// Why the host refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// An argument is out of its range.
    Argument,
    /// This host does not have the function, or the filter's entry not what it needs.
    Unsupported,
    /// There is no such thing.
    NotFound,
    /// A quota of the filter is used up.
    Quota,
    /// Temporarily.
    Unavailable,
}

fn checked(result: i64) -> Result<i64, Error> {
    match result {
        0.. => Ok(result),
        -1 => Err(Error::Argument),
        -3 => Err(Error::NotFound),
        -4 => Err(Error::Quota),
        -5 => Err(Error::Unavailable),
        _ => Err(Error::Unsupported),
    }
}

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
#[allow(missing_docs)]
pub enum Level {
    Debug = 0,
    Info = 1,
    Warn = 2,
    Error = 3,
}

/// Writes a line of up to 1 KiB to the node's log. Capability `log`.
pub fn log(level: Level, line: &str) {
    unsafe { imports::log(level as i32, line.as_ptr(), line.len() as u32) }
}

/// This moment, Unix nanoseconds. [`Event::time_ns`](crate::Event::time_ns) needs
/// no capability and usually does. Capability `now`.
pub fn now() -> i64 {
    unsafe { imports::now() }
}

/// Fills up to 64 KiB with random bytes that are fit for keys. Capability `random`.
pub fn random(to: &mut [u8]) -> Result<(), Error> {
    checked(unsafe { imports::random(to.as_mut_ptr(), to.len() as u32) }.into()).map(|_| ())
}

/// Whether one of the filter's `keys:`, which grant it, verifies the signature of
/// the message. `alg` is a JWS algorithm, `kid` may be empty. Without keys it is
/// unsupported, and until they have been fetched unavailable.
pub fn verify(alg: &str, kid: &str, message: &[u8], signature: &[u8]) -> Result<bool, Error> {
    let result = unsafe {
        imports::verify(
            alg.as_ptr(),
            alg.len() as u32,
            kid.as_ptr(),
            kid.len() as u32,
            message.as_ptr(),
            message.len() as u32,
            signature.as_ptr(),
            signature.len() as u32,
        )
    };
    checked(result.into()).map(|verified| verified == 1)
}

/// Adds to a metric of the node, `sluice_filter_metric_total{filter, name}`. Names
/// are `[a-z_][a-z0-9_]*`, up to 64 bytes. Capability `metric_add`.
pub fn metric_add(name: &str, delta: u64) -> Result<(), Error> {
    let delta = i64::try_from(delta).map_err(|_| Error::Argument)?;
    checked(unsafe { imports::metric_add(name.as_ptr(), name.len() as u32, delta) }.into()).map(|_| ())
}

/// Adds to a counter that all instances of the filter share, and returns its new
/// value, which is never below 0. With `window_ms` the count begins anew when so
/// much time has passed since the first addition; 0: never. A `delta` of 0 reads.
/// Keys have up to 255 bytes. Capability `counter_add`.
pub fn counter_add(key: &[u8], delta: i64, window_ms: u64) -> Result<u64, Error> {
    let window = i64::try_from(window_ms).map_err(|_| Error::Argument)?;
    checked(unsafe { imports::counter_add(key.as_ptr(), key.len() as u32, delta, window) }).map(|n| n as u64)
}

/// What [`bucket_take`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bucket {
    /// The tokens were there, and are taken.
    Taken,
    /// They were not: they will be in so many milliseconds, and none is taken.
    Wait(u64),
}

/// Takes tokens from a bucket that all instances of the filter share. It holds
/// `burst` at most, as it does at first, and gains `refill_per_s` in a second.
/// Keys have up to 255 bytes. Capability `bucket_take`.
pub fn bucket_take(key: &[u8], tokens: u32, burst: u32, refill_per_s: u32) -> Result<Bucket, Error> {
    let result = unsafe { imports::bucket_take(key.as_ptr(), key.len() as u32, tokens.into(), burst.into(), refill_per_s.into()) };
    checked(result).map(|wait| if wait == 0 { Bucket::Taken } else { Bucket::Wait(wait as u64) })
}

/// What [`kv_get`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'b> {
    /// The value, at the start of the buffer.
    Found(&'b [u8]),
    /// The value has so many bytes, more than the buffer.
    TooLong(usize),
    /// There is none, or it has expired.
    None,
}

/// Reads a value that all instances of the filter share. Capability `kv_get`.
pub fn kv_get<'b>(key: &[u8], buffer: &'b mut [u8]) -> Result<Value<'b>, Error> {
    let result = unsafe { imports::kv_get(key.as_ptr(), key.len() as u32, buffer.as_mut_ptr(), buffer.len() as u32) };
    match checked(result.into()) {
        Ok(n) => Ok(buffer.get(..n as usize).map_or(Value::TooLong(n as usize), |value| Value::Found(value))),
        Err(Error::NotFound) => Ok(Value::None),
        Err(e) => Err(e),
    }
}

/// Keeps a value for all instances of the filter, for `ttl_ms` milliseconds; 0:
/// without end. Capability `kv_set`.
pub fn kv_set(key: &[u8], value: &[u8], ttl_ms: u64) -> Result<(), Error> {
    let ttl = i64::try_from(ttl_ms).map_err(|_| Error::Argument)?;
    set(key, value, ttl)
}

/// Forgets a value. Capability `kv_set`.
pub fn kv_delete(key: &[u8]) -> Result<(), Error> {
    set(key, &[], -1)
}

fn set(key: &[u8], value: &[u8], ttl: i64) -> Result<(), Error> {
    let result = unsafe { imports::kv_set(key.as_ptr(), key.len() as u32, value.as_ptr(), value.len() as u32, ttl) };
    checked(result.into()).map(|_| ())
}

#[cfg(target_arch = "wasm32")]
mod wasm {
    #[link(wasm_import_module = "sluice")]
    extern "C" {
        pub fn log(level: i32, p: *const u8, n: u32);
        pub fn now() -> i64;
        pub fn random(p: *mut u8, n: u32) -> i32;
        pub fn verify(
            alg: *const u8,
            alg_n: u32,
            kid: *const u8,
            kid_n: u32,
            message: *const u8,
            message_n: u32,
            signature: *const u8,
            signature_n: u32,
        ) -> i32;
        pub fn metric_add(name: *const u8, n: u32, delta: i64) -> i32;
        pub fn counter_add(key: *const u8, n: u32, delta: i64, window_ms: i64) -> i64;
        pub fn bucket_take(key: *const u8, n: u32, tokens: i64, burst: i64, refill_per_s: i64) -> i64;
        pub fn kv_get(key: *const u8, n: u32, out: *mut u8, cap: u32) -> i32;
        pub fn kv_set(key: *const u8, n: u32, value: *const u8, value_n: u32, ttl_ms: i64) -> i32;
    }
}
