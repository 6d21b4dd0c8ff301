// What a session knows of its transaction. No I/O.
//
// Invariant: at most one transaction is open, each has a number of its own, and all that belongs to one (deadline,
// fence, owed statements, first failure) ends with it. BEGIN and what is owed travel in front of the next statement;
// nothing else is sent before them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tenon/pg/detail/prelude.hpp>
#include <tenon/pg/transact.hpp>

namespace tenon::detail {

class transaction_state {
public:
    using clock = std::chrono::steady_clock;

    /// BEGIN is due with the first statement. `now` is for the observer; none is asked without one.
    void begin(const transaction_options& how, clock::time_point now);
    /// Nothing of it is left but its id.
    void end() noexcept;

    [[nodiscard]] bool is_open() const noexcept { return open_; }
    /// Which transaction of the session it is, from 1.
    [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
    [[nodiscard]] clock::time_point began_at() const noexcept { return began_at_; }
    [[nodiscard]] bool is_read_only() const noexcept { return read_only_; }

    /// Of the open transaction or the last one, when it keeps its id; else 0.
    [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
    [[nodiscard]] bool keeps_id() const noexcept { return keeps_id_; }
    void id(std::uint64_t told) noexcept { id_ = told; }

    /// By when its statements have to be done. COMMIT and ROLLBACK do not heed it.
    [[nodiscard]] clock::time_point deadline() const noexcept { return deadline_; }
    void deadline(clock::time_point until) noexcept { deadline_ = until; }
    [[nodiscard]] bool has_deadline() const noexcept { return deadline_ != clock::time_point::max(); }

    /// Something about it has to be looked at before its next statement.
    [[nodiscard]] bool needs_a_look() const noexcept { return void_ || has_deadline(); }
    /// A statement has failed, as far as is known.
    [[nodiscard]] bool has_failed() const noexcept { return !failure_.sentence.empty(); }

    /// Something has to travel in front of the next statement.
    [[nodiscard]] bool preface_due() const noexcept { return !begin_.empty() || !owed_.empty(); }
    /// BEGIN has not been sent.
    [[nodiscard]] bool is_unsent() const noexcept { return !begin_.empty(); }
    /// Ends in NUL; empty once it was sent.
    [[nodiscard]] std::string_view begin_text() const noexcept { return begin_; }
    void note_begin_sent() noexcept { begin_ = {}; }
    /// BEGIN was not run, because of what came in the same text: the transaction has failed all the same.
    [[nodiscard]] bool is_void() const noexcept { return void_; }
    void note_void() noexcept { void_ = true; }
    /// After it was refused and undone, so that it can be tried again.
    void take_begin_back(std::string_view text, const prelude* fence) noexcept;

    /// A statement without rows that has to run before anything else does, such as the end of a savepoint.
    void owe(std::string sql) { owed_.push_back(std::move(sql)); }
    /// The same for what a guest leaves behind: before anything that was owed since it began.
    void owe_first(std::string sql) { owed_.insert(owed_.begin(), std::move(sql)); }
    /// Takes a debt back that was not sent; false when it was.
    bool forgive(std::string_view sql) noexcept;
    [[nodiscard]] const std::vector<std::string>& owed() const noexcept { return owed_; }
    /// They have been sent.
    [[nodiscard]] std::vector<std::string> take_owed() noexcept { return std::exchange(owed_, {}); }
    /// A savepoint that was owed was not made, as what came before it failed: nothing leads back to it.
    void note_unmade(std::string sql) { unmade_.push_back(std::move(sql)); }
    [[nodiscard]] bool is_unmade(std::string_view sql) const noexcept;

    /// The statement that travels with BEGIN, until it was sent; and what the transaction began with.
    [[nodiscard]] const prelude* fence_due() const noexcept { return fence_due_; }
    [[nodiscard]] const prelude* fence() const noexcept { return fence_; }
    void lead_with(const prelude& first) noexcept { fence_due_ = fence_ = &first; }
    void note_fence_sent() noexcept { fence_due_ = nullptr; }

    /// SQL of the user's, or other code on the same PGconn, may have done what tenon does not know of.
    [[nodiscard]] bool saw_raw_sql() const noexcept { return raw_sql_; }
    void note_raw_sql() noexcept { raw_sql_ = true; }

    /// Why COMMIT will be refused.
    struct failure {
        std::string sentence{};
        std::string sqlstate{};
    };
    [[nodiscard]] const failure& first_failure() const noexcept { return failure_; }
    void note_failure(std::string sentence, std::string_view sqlstate);
    /// A savepoint undid it.
    void forget_failure() noexcept;

private:
    bool open_ = false;
    bool keeps_id_ = false;
    bool read_only_ = false;
    bool raw_sql_ = false;
    bool void_ = false;
    std::uint64_t number_ = 0;
    std::uint64_t id_ = 0;
    std::string_view begin_{};
    clock::time_point deadline_ = clock::time_point::max();
    clock::time_point began_at_{};
    const prelude* fence_due_ = nullptr;
    const prelude* fence_ = nullptr;
    std::vector<std::string> owed_{};
    std::vector<std::string> unmade_{};
    failure failure_{};
};

} // namespace tenon::detail
