// A stream's cursor at work on its session.
//
// Rows are fetched in blocks, two of them under way: the server makes the next one while this one is read. All of it
// travels in pipeline mode, so that opening costs no round trip of its own. A savepoint in front makes it possible to
// leave early, by a cancellation, without failing the transaction.
// Source: manual, DECLARE and "Pipeline Mode"; PQsendFlushRequest makes the server answer before the sync point.
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "session.hpp"

namespace tenon::detail {

class cursor final : public guest {
public:
    cursor(session& on, const statement& what, parameters& values);

    /// False when `block` is the last one, which may be empty.
    [[nodiscard]] bool next_block(result& block);
    /// The last block has been read. The session is free only now, so that short streams and long ones are alike.
    void end() noexcept { stand_up(); }

private:
    void wind_up(clock::time_point until) override;
    void fetch_block(int rows);
    void take_opening();
    void close();
    [[noreturn]] void end_refused(pg_result_ptr refused);

    session& session_;
    statement_context context_;
    std::optional<exchange> exchange_{};
    session::preface preface_{};
    bool opening_ = true;      // the answers in front of the first block are not taken yet
    std::deque<int> blocks_{}; // rows asked for, per block under way
    std::string planning_{};
    clock::time_point since_;
    std::uint64_t rows_ = 0;
};

} // namespace tenon::detail
