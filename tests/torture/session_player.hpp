// Plays one transaction after the other on the checker's pool: a random mixture of everything that a session can do,
// the same for the same seed and number. It knows which rows it asked to be stored, which failures it has coming, and
// says so to the model; any other failure is one of the session's.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <tenon/tenon.hpp>

#include "session_model.hpp"
#include "session_nemesis.hpp"
#include "session_tally.hpp"

namespace torture {

/// What all players share.
struct arena {
    tenon::pool& db;
    std::string url; ///< of the server, not through the gate
    nemesis& faults;
    session_model& model;
    tally& found;
    std::uint64_t seed;
    std::int64_t traced;         ///< the transaction whose doings are printed; 0 is none
    std::size_t statement_cache; ///< of the pool's sessions
};

template <class Error>
bool is(const tenon::error& failure) {
    return dynamic_cast<const Error*>(&failure) != nullptr;
}

inline bool was_cancelled(const tenon::error& failure) {
    return failure.sqlstate() == tenon::sqlstate::query_canceled;
}

/// Used by one thread.
class player {
public:
    player(arena& in, heartbeat& pulse) : arena_(in), pulse_(pulse) {}

    void play(std::int64_t number);

private:
    // Thrown by a body that wants none of its transaction to be stored.
    struct change_of_mind {};
    using milliseconds = std::chrono::milliseconds;

    void draw(std::int64_t number);
    void now(const char* what); // a literal
    void trace(std::string_view what) const;
    session_model::fate run();
    session_model::fate run_and_commit();
    session_model::fate run_transact();
    session_model::fate end_of(const tenon::error& failure);
    void explain(const tenon::error& failure);
    session_model::fate ask(std::uint64_t id);

    void body(tenon::transaction& tx);
    void look_around(tenon::transaction& tx);
    void step(tenon::transaction& tx, int depth);
    void insert(tenon::transaction& tx, const std::string& note);
    void read_own(tenon::transaction& tx);
    void pipeline(tenon::transaction& tx, const std::string& note, bool commits = false);
    void copy_in(tenon::transaction& tx, const std::string& note, int rows);
    void read_source(tenon::transaction& tx);
    void undo_something(tenon::transaction& tx, int depth);
    void race_a_deadline(tenon::transaction& tx);
    void take_long(tenon::transaction& tx, milliseconds about);
    void be_cancelled(tenon::transaction& tx);
    void leave_litter(tenon::transaction& tx);
    void sleep(tenon::transaction& tx, double seconds);

    [[nodiscard]] Entry next_entry(std::string note);
    [[nodiscard]] Journal next_journal();
    [[nodiscard]] std::int32_t take_step(bool journal);
    [[nodiscard]] std::string some_note();
    [[nodiscard]] int below(int most) { return static_cast<int>(random_() % static_cast<unsigned>(most)); }
    [[nodiscard]] bool one_in(int chances) { return below(chances) == 0; }

    arena& arena_;
    heartbeat& pulse_;
    std::optional<tenon::connection> direct_{}; // to ask for outcomes

    // of the transaction that is played:
    std::mt19937_64 random_{};
    std::int64_t number_ = 0;
    tenon::transaction_options how_{};
    tenon::timestamp asked_at_{}; // for its connection
    int pid_ = 0;                 // 0: not known yet
    std::vector<std::int32_t> steps_{};
    std::int32_t last_step_ = 0;
    bool asked_for_cancel_ = false;
};

} // namespace torture
