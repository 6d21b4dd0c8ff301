#include "session_player.hpp"

#include <array>
#include <exception>
#include <iostream>
#include <string_view>
#include <utility>

namespace torture {

using namespace std::chrono_literals;
using tenon::transaction;
using fate = session_model::fate;

void player::now(const char* what) {
    pulse_.doing(what, number_);
    trace(what);
}

void player::trace(std::string_view what) const {
    if (number_ == arena_.traced)
        std::cerr << what << ", behind step " << last_step_ << '\n';
}

void player::play(std::int64_t number) {
    draw(number);
    now("acquires");
    trace(how_.deadline > 0ms ? "has a deadline" : "has no deadline");
    asked_at_ = std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now()) - 10ms;
    fate how = fate::nothing;
    try {
        how = run();
    } catch (const change_of_mind&) { // nothing is to be stored
    } catch (const tenon::error& failure) {
        how = end_of(failure);
    } catch (const std::exception& failure) {
        arena_.found.note(broken::unexpected, "transaction " + std::to_string(number_) + ": " + failure.what());
    }
    arena_.model.ended(number_, how, std::move(steps_));
    now("has ended one");
}

void player::draw(std::int64_t number) {
    number_ = number;
    random_.seed(arena_.seed * 1'000'003 + static_cast<std::uint64_t>(number));
    how_ = {};
    how_.level = std::array{tenon::isolation::read_committed, tenon::isolation::read_committed,
                            tenon::isolation::repeatable_read,
                            tenon::isolation::serializable}[static_cast<std::size_t>(below(4))];
    how_.keep_id = one_in(3);
    if (one_in(6))
        how_.deadline = milliseconds(1 + below(40));
    pid_ = 0;
    asked_for_cancel_ = false;
}

fate player::run() {
    return one_in(4) ? run_transact() : run_and_commit();
}

fate player::run_transact() {
    const bool changes_mind = one_in(5);
    arena_.db.transact(how_, [&](transaction& tx) {
        pid_ = 0; // each attempt has a session of its own
        body(tx);
        if (changes_mind && tx.is_open())
            throw change_of_mind{};
        now("commits");
    });
    return fate::stored;
}

fate player::run_and_commit() {
    tenon::connection one = arena_.db.acquire();
    pid_ = one.backend_pid();
    transaction tx{one, how_};
    body(tx);
    if (!tx.is_open()) // by its pipeline
        return fate::stored;
    switch (below(8)) {
    case 0:
        now("rolls back");
        tx.rollback();
        return fate::nothing;
    case 1: // the scope does
        now("is left");
        return fate::nothing;
    default:
        now("commits");
        tx.commit();
        return fate::stored;
    }
}

fate player::end_of(const tenon::error& failure) {
    explain(failure);
    return failure.outcome_unknown() ? ask(failure.transaction_id()) : fate::nothing;
}

// Is this failure one that was to come?
void player::explain(const tenon::error& failure) {
    trace(failure.what());
    const auto note = [&](broken what) {
        arena_.found.note(what, "transaction " + std::to_string(number_) + ": " + failure.what());
    };
    const bool has_deadline = how_.deadline > 0ms;
    if (is<tenon::connection_lost>(failure)) {
        if (arena_.faults.explains_loss_of(pid_))
            ++arena_.found.losses;
        else if (asked_for_cancel_ || has_deadline) // a request that was not over within a second
            ++arena_.found.given_up;
        else
            note(broken::lost);
    } else if (is<tenon::deadline_exceeded>(failure) || is<tenon::pool_timeout>(failure)) {
        if (!has_deadline)
            note(is<tenon::pool_timeout>(failure) ? broken::unexpected : broken::innocent_ended);
        else
            ++arena_.found.deadlines_missed;
    } else if (was_cancelled(failure) && !is<tenon::failed_transaction>(failure)) {
        note(has_deadline ? broken::mislabelled : broken::innocent_ended);
    } else if (!is<tenon::serialization_failure>(failure)) {
        note(broken::unexpected);
    }
}

fate player::ask(std::uint64_t id) {
    if (id == 0)
        return fate::either;
    now("asks for an outcome");
    ++arena_.found.outcomes_asked;
    if (!direct_)
        direct_.emplace(arena_.url);
    switch (direct_->transact([&](transaction& tx) { return tenon::commit_status(tx, id, 30s); })) {
    case tenon::commit_state::committed:
        return fate::stored;
    case tenon::commit_state::rolled_back:
        return fate::nothing;
    case tenon::commit_state::in_progress:
    case tenon::commit_state::forgotten:
        break;
    }
    return fate::either;
}

} // namespace torture
