#include "statement_cache.hpp"

#include <algorithm>

#include <tenon/core/sqlstate.hpp>

namespace tenon::detail {

namespace {

constexpr std::size_t remembered_checks = 256; // where nothing is prepared on the server

} // namespace

statement_cache::key statement_cache::key_of(const statement& what) noexcept {
    return {.sql = what.sql,
            .types = what.parameters.data(),
            .answer = answer_of(what),
            .hash = what.hash,
            .origin = what.constant ? what.sql.data() : nullptr};
}

prepared* statement_cache::find_further(const statement& what) noexcept {
    const key wanted = key_of(what);
    if (!used_.empty() && same_key{}(used_.front().by, wanted))
        return &used_.front().made;
    const auto known = known_.find(wanted);
    if (known == known_.end())
        return nullptr;
    used_.splice(used_.begin(), used_, known->second);
    return &known->second->made;
}

std::string statement_cache::next_name() {
    return keeps_on_server() ? "tenon_" + std::to_string(++names_) : std::string();
}

void statement_cache::make_room() {
    if (used_.size() < (keeps_on_server() ? limit_ : remembered_checks))
        return;
    drop(std::move(used_.back().made.name));
    known_.erase(used_.back().by);
    used_.pop_back();
}

prepared& statement_cache::add(const statement& what, prepared made) {
    make_room();
    entry& added = used_.emplace_front(entry{std::string(what.sql), key_of(what), std::move(made)});
    added.by.sql = added.sql;
    known_.emplace(added.by, used_.begin());
    return added.made;
}

void statement_cache::drop(std::string name) {
    if (!name.empty())
        dropped_.push_back(std::move(name));
}

void statement_cache::note_dropped(std::size_t count) {
    dropped_.erase(dropped_.begin(), dropped_.begin() + static_cast<std::ptrdiff_t>(count));
}

bool statement_cache::forget(std::string_view sql, std::string_view sqlstate) {
    if (sqlstate == "26000") { // invalid_sql_statement_name: DEALLOCATE ALL or DISCARD ALL took them all
        known_.clear();
        used_.clear();
        dropped_.clear();
        return true;
    }
    if (sqlstate != "0A000") // feature_not_supported: "cached plan must not change result type"
        return false;
    bool found = false;
    for (auto at = used_.begin(); at != used_.end();) {
        const auto here = at++;
        if (here->sql != sql)
            continue;
        drop(std::move(here->made.name));
        known_.erase(here->by);
        used_.erase(here);
        found = true;
    }
    return found;
}

} // namespace tenon::detail
