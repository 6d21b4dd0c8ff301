// The statements a session has prepared. No I/O.
//
// Invariant: it holds at most `limit` statements, and what it has dropped stays in `dropped` until the server is known
// to have dropped it, too: the server never holds more than the two together. The same text with other expected types
// is another statement, which has to be checked for itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <tenon/codec/oid.hpp>
#include <tenon/codec/shape.hpp>
#include <tenon/pg/statement.hpp>

namespace tenon::detail {

struct server_type;

struct prepared {
    std::string name{};                                                 ///< empty where nothing is kept on the server
    std::vector<oid> types{};                                           ///< of the parameters; 0 is inferred
    std::vector<std::pair<std::size_t, const server_type*>> own_oids{}; ///< parameters with OIDs of this database
    std::vector<int> formats{};                                         ///< of the parameters, where not all are binary
};

class statement_cache {
public:
    /// `limit` 0: nothing is kept on the server, only what was found out about statements.
    explicit statement_cache(std::size_t limit) noexcept : limit_(limit) {}

    [[nodiscard]] bool keeps_on_server() const noexcept { return limit_ != 0; }

    /// Nothing when it is unknown; else it counts as used.
    [[nodiscard]] prepared* find(const statement& what) noexcept {
        // The constant that was used last is known by its address.
        if (!used_.empty())
            if (entry& last = used_.front();
                last.by.origin == what.sql.data() && last.by.sql.size() == what.sql.size() &&
                last.by.types == what.parameters.data() && last.by.answer == answer_of(what))
                return &last.made;
        return find_further(what);
    }

    /// A name that was never used in this session; empty when nothing is kept.
    [[nodiscard]] std::string next_name();

    /// Drops the one used longest ago where there is no room for another.
    void make_room();
    /// Adds one that was prepared and checked.
    prepared& add(const statement& what, prepared made);

    /// The server may hold it, and shall not.
    void drop(std::string name);
    [[nodiscard]] const std::vector<std::string>& dropped() const noexcept { return dropped_; }
    /// The server has dropped that many, from the front.
    void note_dropped(std::size_t count);

    /// After a refusal: forgets the statements that cannot be used any more, by its SQLSTATE. False when the refusal
    /// has another reason than the cache.
    bool forget(std::string_view sql, std::string_view sqlstate);

    [[nodiscard]] std::size_t size() const noexcept { return used_.size(); }

private:
    struct key {
        std::string_view sql; // the entry's own copy, or the caller's
        const void* types;    // identity of the parameters' expected types
        const void* answer;   // and of the result's: two records may be mapped to one table
        std::size_t hash;
        const char* origin; // of a constant text: its address spares the comparison
    };
    struct same_key {
        bool operator()(const key& a, const key& b) const noexcept {
            return a.types == b.types && a.answer == b.answer && a.hash == b.hash && a.sql.size() == b.sql.size() &&
                   ((a.origin != nullptr && a.origin == b.origin) || a.sql == b.sql);
        }
    };
    struct hash_key {
        std::size_t operator()(const key& of) const noexcept { return of.hash; }
    };
    struct entry {
        std::string sql;
        key by;
        prepared made;
    };
    // Whose result the statement's is.
    [[nodiscard]] static const void* answer_of(const statement& what) noexcept {
        return what.record != nullptr ? static_cast<const void*>(what.record) : what.results.data();
    }
    [[nodiscard]] static key key_of(const statement& what) noexcept;
    [[nodiscard]] prepared* find_further(const statement& what) noexcept;

    std::size_t limit_;
    std::uint64_t names_ = 0;
    std::list<entry> used_{}; // last used at the front
    std::unordered_map<key, std::list<entry>::iterator, hash_key, same_key> known_{};
    std::vector<std::string> dropped_{};
};

} // namespace tenon::detail
