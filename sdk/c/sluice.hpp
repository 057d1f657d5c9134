/* sluice.hpp: sluice.h for C++11 and later, with methods. A thin layer: it holds
 * nothing, allocates nothing, and needs no library.
 *
 *     #define SLUICE_IMPLEMENTATION
 *     #include "sluice.hpp"
 *
 *     SLUICE_ON_MESSAGE(raw) {
 *         sluice::event e(raw);
 *         if (e.payload().size() > 1000) return e.deny(SLUICE_TOO_LARGE, "too long");
 *         return SLUICE_CONTINUE;
 *     }
 *
 * All of sluice.h stays usable beside it. */
#ifndef SLUICE_HPP
#define SLUICE_HPP

#include "sluice.h"

namespace sluice {

/* A run of bytes that lies elsewhere; what std::string_view is, which a filter
 * without a library does not have. It converts from and to sluice_string. */
class view {
  public:
    static const uint32_t npos = 0xFFFFFFFFu;

    constexpr view() : p(nullptr), n(0) {}
    constexpr view(const char *bytes, uint32_t length) : p(bytes), n(length) {}
    view(const char *text) : p(text), n(sluice_length(text)) {}
    view(sluice_string s) : p(s.ptr), n(s.len) {}
    operator sluice_string() const {
        sluice_string s = {p, n};
        return s;
    }

    const char *data() const { return p; }
    uint32_t size() const { return n; }
    bool empty() const { return n == 0; }
    const char *begin() const { return p; }
    const char *end() const { return p + n; }
    char operator[](uint32_t i) const { return p[i]; }

    /* At most length bytes from at on; at must not be beyond the end. */
    view substr(uint32_t at, uint32_t length = npos) const { return view(p + at, length < n - at ? length : n - at); }
    bool starts_with(view v) const { return n >= v.n && substr(0, v.n) == v; }
    bool ends_with(view v) const { return n >= v.n && substr(n - v.n) == v; }
    bool contains(view v) const { return find(v) != npos; }
    uint32_t find(view v) const {
        for (uint32_t i = 0; n >= v.n && i <= n - v.n; i++)
            if (substr(i, v.n) == v) return i;
        return npos;
    }
    friend bool operator==(view a, view b) {
        if (a.n != b.n) return false;
        for (uint32_t i = 0; i < a.n; i++)
            if (a.p[i] != b.p[i]) return false;
        return true;
    }
    friend bool operator!=(view a, view b) { return !(a == b); }

  private:
    const char *p;
    uint32_t n;
};

/* Text composed in storage of its own, such as a rewritten message. As outputs
 * are read after the hook has returned, make it static: it is all zeros at first,
 * so no constructor has to run, and none would, in a module without a library.
 * What does not fit is left out, at the boundary of a UTF-8 character. */
template <uint32_t capacity>
class text {
  public:
    constexpr text() : used(0), lost(0), storage() {}
    text(const text &) = delete;
    text &operator=(const text &) = delete;

    void clear() { used = lost = 0; }
    text &add(view v) {
        sluice_text t = {storage, used, capacity - lost};
        sluice_text_add_n(&t, v.data(), v.size());
        return keep(t);
    }
    text &add(int64_t v) {
        sluice_text t = {storage, used, capacity - lost};
        sluice_text_add_int(&t, v);
        return keep(t);
    }
    operator view() const { return view(storage, used); }

  private:
    text &keep(const sluice_text &t) {
        used = t.len;
        lost = capacity - t.cap;
        return *this;
    }
    uint32_t used, lost;
    char storage[capacity];
};

enum class lookup : int32_t { none = SLUICE_LOOKUP_NONE, found = SLUICE_LOOKUP_FOUND, missed = SLUICE_LOOKUP_MISSED, failed = SLUICE_LOOKUP_FAILED };

/* An event, and the answers to it. Views of it are valid until the hook returns;
 * what it is given has to outlive the hook, so no local variables. */
class event {
  public:
    explicit event(sluice_event *e) : e(e) {}
    const sluice_event &raw() const { return *e; } /* kind, conn, seq, time_ns, cause, … */

    view payload() const { return sluice_payload(e); }
    view room() const { return sluice_room(e); }
    view user() const { return sluice_user(e); }
    view target() const { return sluice_target(e); }
    view claims() const { return sluice_claims(e); }
    view state() const { return sluice_state(e); }
    view remote() const { return sluice_remote(e); }
    view lookup_value() const { return sluice_lookup(e); }
    lookup lookup_status() const { return static_cast<lookup>(sluice_lookup_status(e)); }
    /* data() is nullptr where there is no such value. */
    view header(const char *name) const { return sluice_meta_find(e, SLUICE_META_HEADER, name); }
    view query(const char *name) const { return sluice_meta_find(e, SLUICE_META_QUERY, name); }
    view cookie(const char *name) const { return sluice_meta_find(e, SLUICE_META_COOKIE, name); }
    view attribute(const char *name) const { return sluice_meta_find(e, SLUICE_META_ATTRIBUTE, name); }

    int32_t deny(uint32_t code, view reason) { return sluice_deny_n(e, code, reason.data(), reason.size()); }
    int32_t deny_for(uint32_t code, uint32_t retry_ms, view reason) {
        e->out_retry_ms = retry_ms;
        return deny(code, reason);
    }
    int32_t disconnect(uint32_t close_code, const char *reason) { return sluice_disconnect(e, close_code, reason); }
    int32_t rewrite(view json) { return sluice_rewrite(e, json.data(), json.size()); }
    int32_t reroute(view room) { return sluice_reroute(e, room.data(), room.size()); }

    void set_state(view v) { sluice_set_state(e, v.data(), v.size()); }
    /* The state as one value of a plain type. */
    template <typename T>
    void set_state_of(const T &v) { sluice_set_state(e, &v, sizeof v); }
    /* That value; what it was before where the state is none of its size. */
    template <typename T>
    bool get_state_of(T &v) const {
        view s = state();
        if (s.size() != sizeof v) return false;
        for (uint32_t i = 0; i < s.size(); i++) reinterpret_cast<char *>(&v)[i] = s[i];
        return true;
    }
    void set_user(view v) { sluice_set_user(e, v.data(), v.size()); }
    void set_info(view json) { sluice_set_info(e, json.data(), json.size()); }
    void set_claims(view json) { sluice_set_claims(e, json.data(), json.size()); }
    void set_grants(view json) { sluice_set_grants(e, json.data(), json.size()); }
    void set_expires_ms(int64_t unix_ms) { sluice_set_expires_ms(e, unix_ms); }

  private:
    sluice_event *e;
};

inline void log(int32_t level, view line) { sluice_log_n(level, line.data(), line.size()); }

} // namespace sluice

#endif /* SLUICE_HPP */
