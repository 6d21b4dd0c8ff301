// What a player does in its transactions.
#include "session_player.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

namespace torture {

using namespace std::chrono_literals;
using tenon::col;
using tenon::repository;
using tenon::savepoint;
using tenon::transaction;

void player::body(transaction& tx) {
    steps_.clear(); // it may be run again
    last_step_ = 0;
    const bool pipeline_commits = one_in(10);
    if (pid_ == 0) {
        static constexpr tenon::query<int> own_pid{"select pg_backend_pid()"};
        pid_ = own_pid.one(tx);
    }
    if (one_in(3))
        look_around(tx);
    for (int left = 1 + below(6); left > 0; --left)
        step(tx, 0);
    if (pipeline_commits)
        pipeline(tx, some_note(), true);
}

// Has an earlier borrower left anything behind?
void player::look_around(transaction& tx) {
    static constexpr tenon::query<std::string, tenon::timestamp, bool, std::int64_t> leftovers{
        "select concat_ws(', ',"
        " case when now() < $1 then 'a transaction that began earlier' end,"
        " case when not $2 and pg_current_xact_id_if_assigned() is not null then 'a transaction that wrote' end,"
        " (select 'cursor ' || string_agg(name, ' ') from pg_cursors where name <> ''),"
        " (select 'setting ' || string_agg(name, ' ') from pg_settings"
        "  where source = 'session' and name not like 'transaction\\_%'),"
        " (select 'temporary ' || string_agg(relname, ' ') from pg_class where relnamespace = pg_my_temp_schema()),"
        " (select 'advisory lock ' || string_agg(objid::text, ' ') from pg_locks"
        "  where locktype = 'advisory' and pid = pg_backend_pid()),"
        " (select 'listens to ' || string_agg(channel, ' ') from pg_listening_channels() channel),"
        " (select 'prepared ' || string_agg(name, ' ') from pg_prepared_statements where from_sql),"
        " (select count(*) || ' prepared statements' from pg_prepared_statements having count(*) > $3),"
        " case when current_user <> session_user then 'role ' || current_user end)"};
    now("looks around");
    const std::string found =
        leftovers.one(tx, asked_at_, how_.keep_id, static_cast<std::int64_t>(2 * arena_.statement_cache));
    if (!found.empty())
        arena_.found.note(broken::unclean, "transaction " + std::to_string(number_) + " was lent: " + found);
}

void player::step(transaction& tx, int depth) {
    switch (below(20)) {
    case 0:
    case 1:
    case 2:
    case 3:
        return insert(tx, some_note());
    case 4:
    case 5:
        return read_own(tx);
    case 6:
    case 7:
        return pipeline(tx, some_note());
    case 8:
        return copy_in(tx, some_note(), below(200));
    case 9:
    case 10:
        return read_source(tx);
    case 11:
    case 12:
        return undo_something(tx, depth);
    case 13:
    case 14:
        return race_a_deadline(tx);
    case 15:
        if (one_in(4))
            return be_cancelled(tx);
        return sleep(tx, 0.002);
    case 16:
        if (one_in(3))
            return leave_litter(tx);
        [[fallthrough]];
    default:
        return sleep(tx, 0.001 * below(4)); // innocent: what comes late hits it
    }
}

void player::insert(transaction& tx, const std::string& note) {
    now("inserts");
    switch (below(4)) {
    case 0:
        (void)repository<Journal>{tx}.insert(next_journal());
        return;
    case 1:
        tx.execute("insert into torture_entry values ($1, $2, $3)", number_, take_step(false), note);
        return;
    case 2: // a text that the session has never seen
        tx.execute("insert into torture_entry values (" + std::to_string(number_) + ", " +
                   std::to_string(take_step(false)) + ", '" + note + "')");
        return;
    default:
        (void)repository<Entry>{tx}.insert(next_entry(note));
    }
}

void player::read_own(transaction& tx) {
    now("reads what it has stored");
    if (steps_.empty())
        return;
    const std::int32_t step = steps_[static_cast<std::size_t>(below(static_cast<int>(steps_.size())))];
    const bool found = step % 4 == 3 ? repository<Journal>{tx}.find(number_, step).has_value()
                                     : repository<Entry>{tx}.find(number_, step).has_value();
    if (!found)
        arena_.found.note(broken::missing,
                          "transaction " + std::to_string(number_) + " does not see its step " + std::to_string(step));
}

void player::pipeline(transaction& tx, const std::string& note, bool commits) {
    now(commits ? "commits by a pipeline" : "runs a pipeline");
    tenon::pending<std::optional<Source>> source;
    const std::int64_t id = 1 + below(source_rows);
    tx.pipeline([&](tenon::pipeline& p) {
        for (int left = 1 + below(8); left > 0; --left) {
            (void)p.insert(next_entry(left == 2 ? note : ""));
            if (one_in(2))
                (void)p.insert(next_journal());
        }
        source = p.find<Source>(id);
        if (commits)
            p.commit();
    });
    if (!source.get() || source.get()->id != id)
        arena_.found.note(broken::unexpected, "another answer in a pipeline, " + std::to_string(number_));
}

void player::copy_in(transaction& tx, const std::string& note, int rows) {
    now("copies rows in");
    // Once in a while more notices than a socket holds, beside more rows than it holds.
    const bool noisy = note.starts_with("notice") && one_in(100);
    if (noisy)
        rows = 6000;
    const std::string loud = "notice4000 " + std::string(2500, 'r');
    (void)repository<Entry>{tx}.copy_in([&](auto& sink) {
        for (int i = 0; i < rows; ++i)
            sink(next_entry(noisy ? loud : i == rows / 2 ? note : ""));
    });
}

// Streams and COPY OUT, to their end or left early.
void player::read_source(transaction& tx) {
    now("reads rows one by one");
    const std::int64_t rows = 1 + below(source_rows);
    const std::int64_t leaves_after = one_in(2) ? 1 + below(static_cast<int>(rows)) : 0;
    const bool copies = one_in(2);
    std::int64_t count = 0;
    std::int64_t sum = 0;
    const auto read = [&](auto&& from) {
        for (const auto& row : from) {
            ++count;
            sum += row.id;
            if (count == leaves_after)
                return;
        }
    };
    if (leaves_after > 0) {
        asked_for_cancel_ = true;
        ++arena_.found.left_early;
    }
    if (copies)
        read(repository<Source>{tx}.copy_out());
    else
        read(repository<Source>{tx}.where(col<&Source::id> <= rows).stream());
    const std::int64_t all = copies ? source_rows : rows;
    if (leaves_after == 0 && (count != all || sum != all * (all + 1) / 2))
        arena_.found.note(broken::unexpected, "a stream of transaction " + std::to_string(number_) + " gave " +
                                                  std::to_string(count) + " rows of " + std::to_string(all));
}

// A savepoint that is kept, undone, or whose statement fails.
void player::undo_something(transaction& tx, int depth) {
    now("sets a savepoint");
    const std::size_t before = steps_.size();
    const int way = below(6);
    try {
        savepoint part{tx};
        for (int left = 1 + below(3); left > 0; --left)
            if (depth < 2)
                step(tx, depth + 1);
            else
                insert(tx, "");
        now("ends a savepoint");
        switch (way) {
        case 0: // by its scope
            break;
        case 1:
            part.rollback();
            break;
        case 2: // a row that is there already
        case 3: {
            const Entry twice = next_entry("");
            (void)repository<Entry>{tx}.insert(twice);
            if (way == 2)
                (void)repository<Entry>{tx}.insert(twice);
            else
                tx.pipeline([&](tenon::pipeline& p) {
                    (void)p.insert(next_entry(""));
                    (void)p.insert(twice);
                    (void)p.insert(next_entry(""));
                });
            arena_.found.note(broken::unexpected, "a key was stored twice by " + std::to_string(number_));
            break;
        }
        case 4:
            if (one_in(2)) { // a COPY that is broken off
                (void)repository<Entry>{tx}.copy_in([&](auto& sink) {
                    sink(next_entry(""));
                    throw change_of_mind{};
                });
            }
            tx.transact([](transaction&) { throw change_of_mind{}; });
            break;
        default:
            part.release();
            return;
        }
    } catch (const change_of_mind&) { // its own, or of a part that could not go on
    } catch (const tenon::unique_violation&) {
        if (way != 2 && way != 3)
            throw;
    }
    steps_.resize(before);
}

// Something that takes about as long as it may. What it did is undone when it was late.
void player::race_a_deadline(transaction& tx) {
    now("races a deadline");
    const milliseconds limit(1 + below(15));
    const std::size_t before = steps_.size();
    const bool deadline_first = one_in(2);
    bool may_go_on = false; // there is a savepoint
    try {
        if (deadline_first) {
            const tenon::deadline until{tx, limit};
            savepoint part{tx};
            may_go_on = true;
            take_long(tx, limit);
            part.release();
        } else {
            savepoint part{tx};
            may_go_on = true;
            {
                const tenon::deadline until{tx, limit};
                take_long(tx, limit);
            }
            part.release();
        }
        return;
    } catch (const tenon::connection_lost&) {
        asked_for_cancel_ = true;
        throw;
    } catch (const tenon::error& failure) {
        if (!is<tenon::deadline_exceeded>(failure)) {
            if (!was_cancelled(failure))
                throw;
            arena_.found.note(broken::mislabelled, "transaction " + std::to_string(number_) + ": " + failure.what());
        }
    }
    trace("has missed it");
    asked_for_cancel_ = true;
    ++arena_.found.deadlines_missed;
    steps_.resize(before);
    if (!may_go_on)
        throw change_of_mind{};
    if (one_in(2))
        sleep(tx, 0.002);
}

void player::take_long(transaction& tx, milliseconds about) {
    const double seconds = std::max(0.0, static_cast<double>(about.count()) - 2 + 0.1 * below(40)) / 1000;
    const std::string slow = "slow" + std::to_string(seconds);
    switch (below(9)) {
    case 0:
        return sleep(tx, seconds);
    case 1:
        (void)tx.execute("select pg_sleep(" + std::to_string(seconds) + ")");
        return;
    case 2:
        return insert(tx, slow);
    case 3:
        return pipeline(tx, slow);
    case 4:
        return copy_in(tx, slow, 20);
    case 5:
        now("reads slow rows by a stream");
        for (const SlowSource& row : repository<SlowSource>{tx}.where(col<&SlowSource::id> < about.count()).stream())
            (void)row;
        return;
    case 6:
        now("reads slow rows by COPY");
        for (const SlowSource& row : repository<SlowSource>{tx}.copy_out())
            (void)row;
        return;
    case 7: // new to the session
        tx.execute("select pg_sleep($1) -- " + std::to_string(number_), seconds);
        return;
    default:
        tx.transact([&](transaction& inner) { sleep(inner, seconds); });
    }
}

void player::be_cancelled(transaction& tx) {
    if (how_.deadline > 0ms) // two requests at once could not be told apart
        return;
    now("waits to be cancelled from outside");
    try {
        const savepoint part{tx};
        const nemesis::cancel_soon request{arena_.faults, pid_};
        (void)tx.execute(waits_for_cancel);
        arena_.found.note(broken::unexpected, "nobody cancelled transaction " + std::to_string(number_));
    } catch (const tenon::error& failure) {
        if (!was_cancelled(failure))
            throw;
        if (is<tenon::deadline_exceeded>(failure))
            arena_.found.note(broken::mislabelled, "cancelled from outside: " + std::string(failure.what()));
        ++arena_.found.cancelled_from_outside;
    }
}

// What raw SQL may leave in a session; the pool is to clear it away.
void player::leave_litter(transaction& tx) {
    now("leaves litter");
    const std::string name = "torture_" + std::to_string(number_) + "_" + std::to_string(below(1'000'000));
    switch (below(7)) {
    case 0:
        (void)tx.execute("set cursor_tuple_fraction = 0.7");
        return;
    case 1:
        (void)tx.execute("set statement_timeout = '1h'");
        return;
    case 2:
        (void)tx.execute("listen " + name);
        return;
    case 3:
        (void)tx.execute("select pg_advisory_lock(" + std::to_string(number_) + ")");
        return;
    case 4:
        (void)tx.execute("create temporary table " + name + " (n integer)");
        return;
    case 5:
        (void)tx.execute("declare " + name + " cursor with hold for select 1");
        return;
    default:
        (void)tx.execute("prepare " + name + " as select 1");
    }
}

void player::sleep(transaction& tx, double seconds) {
    now("sleeps");
    tx.execute("select pg_sleep($1)", seconds);
}

// --- rows ---------------------------------------------------------------------------------------------------------

std::int32_t player::take_step(bool journal) {
    do
        ++last_step_;
    while ((last_step_ % 4 == 3) != journal);
    steps_.push_back(last_step_);
    return last_step_;
}

Entry player::next_entry(std::string note) {
    return {.txn = number_, .step = take_step(false), .note = std::move(note)};
}

Journal player::next_journal() {
    return {.txn = number_, .step = take_step(true)};
}

std::string player::some_note() {
    switch (below(6)) {
    case 0:
        return "notice" + std::to_string(1 + below(3000));
    case 1:
        return "slow0.001";
    default:
        return {};
    }
}

} // namespace torture
