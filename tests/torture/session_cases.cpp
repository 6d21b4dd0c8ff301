#include "session_cases.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <future>
#include <string>

#include <tenon/tenon.hpp>
#include <tenon/testing/cluster.hpp>

#include "session_model.hpp"

namespace torture {
namespace {

using namespace std::chrono_literals;
using tenon::repository;
using tenon::transaction;
using clock_type = std::chrono::steady_clock;

constexpr tenon::transaction_options once{.attempts = 1};

// Runs what nobody has cancelled.
void innocent(case_result& result, const std::string& what, const auto& run) {
    try {
        run();
    } catch (const tenon::error& failure) {
        ++result.broken;
        result.example = what + ": " + failure.what();
    }
}

void leave_copy_early(transaction& tx) {
    for (const Source& row : repository<Source>{tx}.copy_out())
        if (row.id == 1)
            break;
}

// A COPY that is left early, and what follows it: in its transaction, and in the next borrower's.
case_result late_cancel(const std::string& url, int tries, heartbeat& pulse) {
    case_result result{.name = "a COPY left early: innocent ended", .unit = "statements"};
    tenon::pool db{url, {.max_size = 1}};
    for (int i = 0; i < tries; ++i) {
        pulse.doing("leaves a COPY early");
        innocent(result, "the next statement", [&] {
            db.transact(once, [](transaction& tx) {
                leave_copy_early(tx);
                tx.execute("select pg_sleep(0.02)");
            });
        });
        innocent(result, "the COPY", [&] { db.transact(once, leave_copy_early); });
        innocent(result, "the next borrower's statement",
                 [&] { db.transact(once, [](transaction& tx) { tx.execute("select pg_sleep(0.02)"); }); });
        result.tries += 3;
    }
    return result;
}

// A statement that ends just before its deadline, and the next borrower's.
case_result late_deadline(const std::string& url, int tries, heartbeat& pulse) {
    case_result result{.name = "a deadline just met or missed: innocent ended", .unit = "statements"};
    tenon::pool db{url, {.max_size = 1}};
    for (; result.tries < tries; ++result.tries) {
        pulse.doing("meets or misses a deadline");
        try {
            db.transact({.attempts = 1, .deadline = 20ms},
                        [](transaction& tx) { tx.execute("select pg_sleep(0.0185)"); });
        } catch (const tenon::deadline_exceeded&) { // as likely as not
        } catch (const tenon::error& failure) {
            ++result.broken;
            result.example = std::string("the deadline's own statement: ") + failure.what();
        }
        innocent(result, "the next borrower's statement",
                 [&] { db.transact(once, [](transaction& tx) { tx.execute("select pg_sleep(0.01)"); }); });
    }
    return result;
}

// A missed deadline behind a savepoint, and two statements behind it.
case_result nest(const std::string& url, int tries, heartbeat& pulse) {
    case_result result{.name = "a deadline missed behind a savepoint: innocent ended", .unit = "statements"};
    tenon::connection db{url};
    for (; result.tries < tries; ++result.tries) {
        pulse.doing("misses a deadline behind a savepoint");
        innocent(result, "a statement behind it", [&] {
            transaction tx(db);
            {
                const tenon::deadline outer(tx, 60s);
                {
                    tenon::savepoint attempt(tx);
                    const tenon::deadline inner(tx, 20ms);
                    try {
                        tx.execute("select pg_sleep(60)");
                    } catch (const tenon::deadline_exceeded&) { // so it was to be
                    }
                }
                tx.execute("select pg_sleep(0.03)");
            }
            tx.execute("select pg_sleep(0.03)");
        });
    }
    return result;
}

// --- a commit whose synchronous standby is not there ----------------------------------------------------------------

// Runs what ends in a commit, which must not return by itself, whatever was cancelled before it. After `patience`, in
// which a late request would have come, it is ended from outside, and then its outcome is unknown. False when it did
// not come to its commit, for a deadline.
bool commit_alone(case_result& result, tenon::connection& admin, tenon::connection& one,
                  std::chrono::milliseconds patience, const auto& run) {
    static constexpr tenon::query<std::string, int> state{
        "select coalesce(wait_event, '') from pg_stat_activity where pid = $1"};
    const int pid = one.backend_pid();
    const bool by_cancel = result.tries % 2 == 0;
    const auto began = clock_type::now();
    auto committing = std::async(std::launch::async, [&] {
        try {
            run();
            return std::string("it returned");
        } catch (const tenon::deadline_exceeded&) {
            return std::string();
        } catch (const tenon::error& failure) {
            return std::string(failure.outcome_unknown() ? "unknown" : failure.what());
        }
    });
    bool ended = false;
    while (committing.wait_for(2ms) != std::future_status::ready) {
        if (ended || clock_type::now() - began < patience)
            continue;
        const auto waits = admin.transact([&](transaction& tx) { return state.first(tx, pid); });
        if (!waits || *waits != "SyncRep")
            continue;
        ended = true;
        admin.transact([&](transaction& tx) {
            tx.execute(by_cancel ? "select pg_cancel_backend($1)" : "select pg_terminate_backend($1)", pid);
        });
    }
    const std::string how = committing.get();
    if (how.empty() && !ended)
        return false;
    ++result.tries;
    if (how != "unknown") {
        ++result.broken;
        result.example = (how.empty() ? "a missed deadline" : how) + (!ended      ? ", by itself"
                                                                      : by_cancel ? ", after a cancel from outside"
                                                                                  : ", after its backend was ended");
    }
    return true;
}

case_result syncrep(const std::string& url, int tries, heartbeat& pulse) {
    case_result result{.name = "a commit behind a COPY left early, without its standby: not unknown",
                       .unit = "commits"};
    tenon::connection admin{url + " options=-csynchronous_commit=local"};
    while (result.tries < tries) {
        pulse.doing("commits without its standby");
        tenon::connection one{url};
        const Journal row{.txn = result.tries, .step = 1};
        (void)commit_alone(result, admin, one, 20ms, [&] {
            transaction tx{one};
            leave_copy_early(tx);
            (void)repository<Journal>{tx}.insert(row);
            tx.commit();
        });
    }
    return result;
}

case_result pipeline_commit(const std::string& url, int tries, heartbeat& pulse) {
    case_result result{.name = "a pipeline's commit past its deadline, without its standby: not unknown",
                       .unit = "commits"};
    static constexpr tenon::query<std::int64_t, std::int64_t> stored{
        "select count(*) from torture_journal where txn = $1 and step = 2"};
    tenon::connection admin{url + " options=-csynchronous_commit=local"};
    auto deadline = 30ms;
    while (result.tries < tries) {
        pulse.doing("commits by a pipeline without its standby");
        tenon::connection one{url};
        const Journal row{.txn = result.tries, .step = 2};
        if (commit_alone(result, admin, one, deadline + 10ms, [&] {
                one.transact({.attempts = 1, .deadline = deadline}, [&](transaction& tx) {
                    tx.pipeline([&](tenon::pipeline& p) {
                        (void)p.insert(row);
                        p.commit();
                    });
                });
            }))
            continue;
        if (admin.transact([&](transaction& tx) { return stored.one(tx, row.txn); }) != 0) {
            ++result.broken;
            ++result.tries;
            result.example = "a deadline was missed, but the row is stored";
        }
        deadline = std::min(2 * deadline, std::chrono::milliseconds(10s)); // this machine needs longer to come so far
    }
    return result;
}

std::string conninfo(const tenon::testing::cluster& server) {
    return "host=" + server.socket_directory().string() + " port=" + std::to_string(server.port()) +
           " user=postgres dbname=postgres";
}

} // namespace

std::vector<case_result> play_cases(int tries, heartbeat& pulse) {
    std::vector<case_result> all;
    {
        const tenon::testing::cluster server;
        tenon::connection admin{conninfo(server)};
        create_tables(admin);
        for (const auto play : {late_cancel, late_deadline, nest})
            all.push_back(play(conninfo(server), tries, pulse));
    }
    {
        const tenon::testing::cluster server{{.settings = {{"synchronous_standby_names", "absent"}}}};
        tenon::connection admin{conninfo(server) + " options=-csynchronous_commit=local"};
        create_tables(admin);
        for (const auto play : {syncrep, pipeline_commit})
            all.push_back(play(conninfo(server), tries, pulse));
    }
    return all;
}

} // namespace torture
