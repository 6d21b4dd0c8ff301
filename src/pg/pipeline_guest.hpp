// A pipeline at work on its session.
//
// Invariant: statements are sent in the order they are queued, and every answer is taken before the session is anybody
// else's. Without a deadline COMMIT may be the last of them; with one it goes by itself, when their answers are there,
// since a statement in front of a COMMIT on its way can not be cancelled any more.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include <tenon/pg/pipeline.hpp>

#include "session.hpp"

namespace tenon::detail {

class pipeline_guest final : public guest {
public:
    explicit pipeline_guest(session& on);

    /// Sends one more; a statement that is new to the session first has the answers of those before it taken. `number`
    /// is its place, from 1; its answer is given to `answer`.
    void send(const statement& what, parameters& values, pipeline_answer& answer, std::size_t number);
    /// Takes all answers and gives the session back; `commit` goes behind them. Throws the first failure.
    void finish(bool commit);

private:
    struct queued {
        statement_context context;
        pipeline_answer* answer;
        clock::time_point sent_at{}; // where an observer wants to know
    };
    void wind_up(clock::time_point until) override;
    void open();
    void drain(const statement_context* commit = nullptr, pg_result_ptr* committed = nullptr);

    session& session_;
    std::optional<exchange> exchange_{};
    session::preface preface_{};
    std::vector<queued> in_flight_{};
    clock::time_point commit_sent_at_{};
};

} // namespace tenon::detail
