#include <tenon/pg/listener.hpp>

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <deque>
#include <random>

#include <tenon/core/error.hpp>
#include <tenon/pg/transaction.hpp>

#include "dial.hpp"
#include "server_error.hpp"
#include "wake.hpp"

namespace tenon {

namespace {

using namespace std::chrono_literals;

struct finish {
    void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
};

} // namespace

struct listener::state {
    std::string conninfo;
    std::vector<std::string> channels;
    connection_options options;
    std::unique_ptr<PGconn, finish> connection{};
    std::deque<notification> arrived{};

    void open(const std::stop_token& stop = {}) {
        connection.reset(detail::dial(conninfo, {.timeout = options.connect_timeout, .stop = stop}));
        PQsetNoticeProcessor(connection.get(), [](void*, const char*) {}, nullptr);
        refuse_pooler();
        for (const std::string& channel : channels) {
            const std::unique_ptr<char, void (*)(void*)> name(
                PQescapeIdentifier(connection.get(), channel.data(), channel.size()), PQfreemem);
            if (!name)
                throw usage_error("listener: a channel's name is not valid UTF-8");
            const std::unique_ptr<PGresult, void (*)(PGresult*)> answer(
                PQexec(connection.get(), ("listen " + std::string(name.get())).c_str()), PQclear);
            if (PQresultStatus(answer.get()) != PGRES_COMMAND_OK)
                detail::throw_server_error(answer.get(), {.operation = "listen"});
        }
        take();
    }

    // A pooler that hands each transaction another session makes a pid up: nobody would be told of anything.
    void refuse_pooler() {
        const std::unique_ptr<PGresult, void (*)(PGresult*)> answer(
            PQexec(connection.get(), "select pg_catalog.pg_backend_pid()"), PQclear);
        if (PQresultStatus(answer.get()) != PGRES_TUPLES_OK)
            detail::throw_server_error(answer.get(), {.operation = "listen"});
        if (std::to_string(PQbackendPID(connection.get())) != PQgetvalue(answer.get(), 0, 0)) {
            connection.reset();
            throw session_not_dedicated(
                "LISTEN through a pooler hears nothing: give the listener a direct connection to "
                "the server");
        }
    }

    void take() {
        while (PGnotify* const note = PQnotifies(connection.get())) {
            arrived.push_back({.channel = note->relname, .payload = note->extra, .sender = note->be_pid});
            PQfreemem(note);
        }
    }
};

listener::listener(std::string_view conninfo, std::vector<std::string> channels, const connection_options& options)
    : state_(new state{std::string(conninfo), std::move(channels), options}) {
    options.validate();
    state_->open();
}

listener::~listener() = default;

std::optional<notification> listener::next(const std::stop_token& stop) {
    const detail::wake stopped;
    const std::stop_callback on_stop(stop, [&stopped] { stopped.set(); });
    std::minstd_rand random{std::random_device{}()};
    std::chrono::milliseconds pause = 10ms;
    // Waits for the socket, if there is one, or for the time; a stop request ends either.
    const auto wait = [&](int socket, std::chrono::milliseconds longest) {
        pollfd sockets[]{{stopped.descriptor(), POLLIN, 0}, {socket, POLLIN, 0}}; // NOLINT(modernize-avoid-c-arrays)
        (void)::poll(sockets, 2, static_cast<int>(longest.count()));
    };
    while (!stop.stop_requested()) {
        if (!state_->arrived.empty()) {
            notification first = std::move(state_->arrived.front());
            state_->arrived.pop_front();
            return first;
        }
        if (state_->connection) {
            wait(PQsocket(state_->connection.get()), -1ms);
            if (PQconsumeInput(state_->connection.get()) == 1 && PQstatus(state_->connection.get()) == CONNECTION_OK)
                state_->take();
            else
                state_->connection.reset();
            continue;
        }
        try {
            state_->open(stop);
            return notification{.gap = true};
        } catch (const error&) {
            state_->connection.reset();
            wait(-1, std::chrono::milliseconds(std::uniform_int_distribution<std::int64_t>(1, pause.count())(random)));
            pause = std::min<std::chrono::milliseconds>(2 * pause, 5s);
        }
    }
    return std::nullopt;
}

void notify(transaction& tx, std::string_view channel, std::string_view payload) {
    tx.execute("select pg_catalog.pg_notify($1, $2)", std::string(channel), std::string(payload));
}

} // namespace tenon
