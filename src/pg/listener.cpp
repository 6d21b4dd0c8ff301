#include <tenon/pg/listener.hpp>

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <deque>
#include <random>

#include <tenon/core/error.hpp>
#include <tenon/core/sqlstate.hpp>
#include <tenon/pg/transaction.hpp>

#include "ask.hpp"
#include "dial.hpp"
#include "server_error.hpp"
#include "waiting.hpp"
#include "wake.hpp"

namespace tenon {

namespace {

using namespace std::chrono_literals;
using detail::wait_outcome;
using clock = detail::waiter::clock;

// What no waiting mends is the caller's to know.
bool is_hopeless(const error& failure) {
    return detail::is_refusal(failure) || dynamic_cast<const session_not_dedicated*>(&failure) != nullptr ||
           dynamic_cast<const usage_error*>(&failure) != nullptr;
}

} // namespace

struct listener::state {
    std::string conninfo;
    std::vector<std::string> channels;
    connection_options options;
    std::chrono::milliseconds patience; ///< for opening
    detail::wake stopped{};
    detail::connection_ptr connection{};
    std::deque<notification> arrived{};

    // The first of: stop, socket ready, time.
    wait_outcome wait(short events, clock::time_point until) const {
        std::array sockets{pollfd{stopped.descriptor(), POLLIN, 0},
                           pollfd{connection ? PQsocket(connection.get()) : -1, events, 0}};
        const wait_outcome end = detail::blocking().wait(sockets, until);
        if (sockets[0].revents == 0)
            return end;
        stopped.clear(); // the stop token remembers
        return wait_outcome::cancelled;
    }

    void open(const std::stop_token& stop = {}) {
        const auto until = detail::after(patience);
        try {
            connection = detail::connection_ptr(detail::dial(
                conninfo, {.timeout = options.connect_timeout, .wanted = host_role::primary, .stop = stop}));
            PQsetNoticeProcessor(connection.get(), [](void*, const char*) {}, nullptr);
            refuse_pooler(until);
            for (const std::string& channel : channels) {
                const std::unique_ptr<char, void (*)(void*)> name(
                    PQescapeIdentifier(connection.get(), channel.data(), channel.size()), PQfreemem);
                if (!name)
                    throw usage_error("listener: a channel's name is not valid UTF-8");
                (void)ask((std::string("listen ") + name.get()).c_str(), until);
            }
        } catch (...) {
            connection.reset();
            throw;
        }
        take();
    }

    detail::answer_ptr ask(const char* sql, clock::time_point until) {
        detail::answer_ptr answer = detail::ask(connection.get(), sql, {}, [&](short events) {
            switch (wait(events, until)) {
            case wait_outcome::ready:
                return;
            case wait_outcome::cancelled:
                throw connection_failed("cannot connect: it was stopped");
            default:
                throw connection_failed("cannot connect: the server did not answer to LISTEN within " +
                                        std::to_string(patience.count()) + " ms (connect_timeout)");
            }
        });
        if (!answer || PQstatus(connection.get()) != CONNECTION_OK)
            throw connection_failed("cannot connect: " + detail::last_words_of(connection.get(), answer.get()));
        if (PQresultStatus(answer.get()) == PGRES_FATAL_ERROR)
            detail::throw_server_error(answer.get(), {.operation = "listen"});
        return answer;
    }

    // A pooler that hands each transaction another session makes a pid up: nobody would be told of anything.
    void refuse_pooler(clock::time_point until) {
        const auto answer = ask("select pg_catalog.pg_backend_pid()", until);
        if (PQntuples(answer.get()) != 1 ||
            std::to_string(PQbackendPID(connection.get())) != PQgetvalue(answer.get(), 0, 0))
            throw session_not_dedicated(
                "LISTEN through a pooler hears nothing: give the listener a direct connection to "
                "the server");
    }

    // False when the session has ended.
    bool read() {
        const bool alive = PQconsumeInput(connection.get()) == 1 && PQstatus(connection.get()) == CONNECTION_OK;
        take();
        return alive;
    }

    void take() {
        while (PGnotify* const note = PQnotifies(connection.get())) {
            arrived.push_back({.channel = note->relname, .payload = note->extra, .sender = note->be_pid});
            PQfreemem(note);
        }
    }
};

listener::listener(std::string_view conninfo, std::vector<std::string> channels, const connection_options& options) {
    options.validate();
    const std::string text(conninfo);
    const auto patience = detail::validate_conninfo(text, options.connect_timeout);
    state_.reset(new state{text, std::move(channels), options, patience});
    state_->open();
}

listener::~listener() = default;

std::optional<notification> listener::next(const std::stop_token& stop) {
    const std::stop_callback on_stop(stop, [this] { state_->stopped.set(); });
    std::minstd_rand random{std::random_device{}()};
    std::chrono::milliseconds pause = 10ms;
    while (!stop.stop_requested()) {
        if (!state_->arrived.empty()) {
            notification first = std::move(state_->arrived.front());
            state_->arrived.pop_front();
            return first;
        }
        if (state_->connection) {
            // As long as it takes: keepalives find a network that is dead.
            if (state_->wait(POLLIN, clock::time_point::max()) == wait_outcome::ready && !state_->read())
                state_->connection.reset();
            continue;
        }
        try {
            state_->open(stop);
            return notification{.gap = true};
        } catch (const error& failure) {
            if (is_hopeless(failure))
                throw;
        }
        const std::chrono::milliseconds chosen(std::uniform_int_distribution<std::int64_t>(1, pause.count())(random));
        (void)state_->wait(0, detail::after(chosen));
        pause = std::min<std::chrono::milliseconds>(2 * pause, 5s);
    }
    return std::nullopt;
}

void notify(transaction& tx, std::string_view channel, std::string_view payload) {
    tx.execute("select pg_catalog.pg_notify($1, $2)", std::string(channel), std::string(payload));
}

} // namespace tenon
