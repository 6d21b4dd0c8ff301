#include "transaction_state.hpp"

#include <algorithm>
#include <array>

#include "waiting.hpp"

namespace tenon::detail {

namespace {

// One constant text for each kind of transaction. The level is always said, so that a default of the server or the role
// does not change what code relies on.
std::string_view text_of(const transaction_options& how) noexcept {
    static constexpr std::array<const char*, 12> texts{
        "begin isolation level read committed",
        "begin isolation level repeatable read",
        "begin isolation level serializable",
        "begin isolation level read committed read only",
        "begin isolation level repeatable read read only",
        "begin isolation level serializable read only",
        "begin isolation level read committed deferrable",
        "begin isolation level repeatable read deferrable",
        "begin isolation level serializable deferrable",
        "begin isolation level read committed read only deferrable",
        "begin isolation level repeatable read read only deferrable",
        "begin isolation level serializable read only deferrable",
    };
    return texts[static_cast<std::size_t>(how.level) + (how.read_only ? 3U : 0U) + (how.deferrable ? 6U : 0U)];
}

} // namespace

void transaction_state::begin(const transaction_options& how, clock::time_point now) {
    end();
    open_ = true;
    ++number_;
    keeps_id_ = how.keep_id;
    read_only_ = how.read_only;
    id_ = 0;
    began_at_ = now;
    if (how.deadline.count() > 0)
        deadline_ = after(how.deadline);
    begin_ = text_of(how);
}

void transaction_state::end() noexcept {
    open_ = false;
    raw_sql_ = false;
    void_ = false;
    begin_ = {};
    deadline_ = clock::time_point::max();
    fence_due_ = nullptr;
    fence_ = nullptr;
    owed_.clear();
    unmade_.clear();
    forget_failure();
}

void transaction_state::take_begin_back(std::string_view text, const prelude* fence) noexcept {
    begin_ = text;
    fence_due_ = fence;
    forget_failure();
}

bool transaction_state::forgive(std::string_view sql) noexcept {
    if (owed_.empty() || owed_.back() != sql)
        return false;
    owed_.pop_back();
    return true;
}

bool transaction_state::is_unmade(std::string_view sql) const noexcept {
    return std::ranges::find(unmade_, sql) != unmade_.end();
}

void transaction_state::note_failure(std::string sentence, std::string_view sqlstate) {
    if (open_ && failure_.sentence.empty())
        failure_ = {.sentence = std::move(sentence), .sqlstate = std::string(sqlstate)};
}

void transaction_state::forget_failure() noexcept {
    failure_.sentence.clear();
    failure_.sqlstate.clear();
}

} // namespace tenon::detail
