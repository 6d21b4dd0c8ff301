#include <tenon/pg/detail/dedicated_session.hpp>

#include <libpq-fe.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <utility>

#include <tenon/core/error.hpp>
#include <tenon/core/sqlstate.hpp>
#include <tenon/pg/detail/conninfo.hpp>

#include "ask.hpp"
#include "dial.hpp"
#include "server_error.hpp"
#include "waiting.hpp"
#include "wake.hpp"

namespace tenon::detail {

namespace {

using namespace std::chrono_literals;

constexpr const char* pooler_advice =
    "a pooler stands between the election and its server: its session would be shared with others, and its lock with "
    "it. Give election_options::conninfo a direct connection to the server";

// Readable at a moment of CLOCK_BOOTTIME: poll's own timeout stands still while the machine sleeps.
class alarm {
public:
    alarm() : descriptor_(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK)) {
        if (descriptor_ < 0)
            throw std::system_error(errno, std::generic_category(), "timerfd_create");
    }
    alarm(const alarm&) = delete;
    alarm& operator=(const alarm&) = delete;
    ~alarm() { ::close(descriptor_); }

    void set(boot_clock::time_point at) const noexcept {
        const auto since_boot = std::max<std::chrono::nanoseconds>(at.time_since_epoch(), 1ns); // 0 would disarm it
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since_boot);
        itimerspec when{};
        when.it_value.tv_sec = seconds.count();
        when.it_value.tv_nsec = (since_boot - seconds).count();
        (void)::timerfd_settime(descriptor_, TFD_TIMER_ABSTIME, &when, nullptr);
    }
    [[nodiscard]] int descriptor() const noexcept { return descriptor_; }

private:
    int descriptor_;
};

// Those that the session would have without us, with ours behind them: later ones win.
std::string options_with(const std::string& conninfo, const std::string& ours) {
    const std::string theirs = options_in_use(conninfo);
    return theirs.empty() ? ours : theirs + " " + ours;
}

} // namespace

struct dedicated_session::state {
    explicit state(dedicated_options options) : how(std::move(options)) {}

    dedicated_options how;
    detail::wake woken{};
    std::atomic<bool> abandoned{false};
    alarm timer{};
    connection_ptr connection{};
    std::vector<std::string> payloads{};
    std::string last_words{};

    // False when the server has said farewell.
    bool read_arrived() {
        (void)PQisBusy(connection.get()); // takes it apart: a farewell comes as a notice
        while (PGnotify* const note = PQnotifies(connection.get())) {
            payloads.emplace_back(note->extra);
            PQfreemem(note);
        }
        return last_words.empty();
    }

    // False when the session has ended.
    bool read() {
        const bool alive = PQconsumeInput(connection.get()) == 1 && PQstatus(connection.get()) == CONNECTION_OK;
        if (read_arrived() && !alive)
            last_words = one_line(PQerrorMessage(connection.get()));
        return alive && last_words.empty();
    }

    static void keep_farewell(void* self, const PGresult* notice) {
        const char* const severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
        if (severity == nullptr || (std::string_view(severity) != "FATAL" && std::string_view(severity) != "PANIC"))
            return;
        static_cast<state*>(self)->last_words = sentence_of(notice);
    }

    // The first of: socket readable (or writable), time, woken.
    enum class ready { socket, time, woken };
    ready poll_for(short events, clock::time_point until) const {
        timer.set(until);
        std::array sockets{pollfd{connection ? PQsocket(connection.get()) : -1, events, 0},
                           pollfd{timer.descriptor(), POLLIN, 0}, pollfd{woken.descriptor(), POLLIN, 0}};
        if (blocking().wait(sockets, waiter::clock::time_point::max()) == wait_outcome::abandoned)
            throw connection_lost("election: its sockets cannot be waited for");
        if (sockets[0].revents != 0)
            return ready::socket;
        if (sockets[2].revents != 0) {
            woken.clear();
            return ready::woken;
        }
        return ready::time;
    }

    [[noreturn]] void fail_lost(const char* sql, const std::string& reason) {
        if (last_words.empty())
            last_words = reason;
        connection.reset();
        throw connection_lost("election: connection lost: " + last_words, {.statement = sql});
    }

    std::vector<row> ask(const char* sql, std::initializer_list<std::string_view> parameters, clock::time_point until) {
        if (!connection || abandoned)
            fail_lost(sql, "there is no session");
        const std::vector<std::string> texts(parameters.begin(), parameters.end());
        std::vector<const char*> values;
        values.reserve(texts.size());
        for (const std::string& text : texts)
            values.push_back(text.c_str());
        const answer_ptr answer = detail::ask(connection.get(), sql, values, [&](short events) {
            if (!read_arrived())
                fail_lost(sql, last_words);
            if (abandoned)
                fail_lost(sql, "it was given up");
            if (poll_for(events, until) == ready::time)
                fail_lost(sql, "no answer in time");
        });
        if (!read_arrived() || !answer || PQstatus(connection.get()) != CONNECTION_OK)
            fail_lost(sql, last_words_of(connection.get(), answer.get()));
        if (PQresultStatus(answer.get()) != PGRES_TUPLES_OK && PQresultStatus(answer.get()) != PGRES_COMMAND_OK)
            throw_server_error(answer.get(), {.sql = sql, .operation = "election"});
        std::vector<row> rows(static_cast<std::size_t>(PQntuples(answer.get())));
        for (int r = 0; r < PQntuples(answer.get()); ++r)
            for (int c = 0; c < PQnfields(answer.get()); ++c)
                rows[static_cast<std::size_t>(r)].emplace_back(PQgetvalue(answer.get(), r, c));
        return rows;
    }

    void refuse_pooler() {
        const auto value_of = [this](const char* sql) {
            return ask(sql, {}, clock::now() + how.connect_timeout).at(0).at(0);
        };
        // A pooler makes a pid up, has another one for the next statement, or drops the settings.
        const std::string own = std::to_string(PQbackendPID(connection.get()));
        for (int i = 0; i < 2; ++i)
            if (value_of("select pg_catalog.pg_backend_pid()") != own)
                throw session_not_dedicated(pooler_advice);
        if (value_of("select setting from pg_catalog.pg_settings where name operator(pg_catalog.=) "
                     "'idle_session_timeout'") != std::to_string(how.lease.count()))
            throw session_not_dedicated(pooler_advice);
    }

    void open(const std::stop_token& stop) {
        last_words.clear();
        payloads.clear();
        const auto in_ms = [](std::chrono::milliseconds time) { return std::to_string(time.count()); };
        const std::string settings = "-c idle_session_timeout=" + in_ms(how.lease) +
                                     " -c statement_timeout=" + in_ms(how.lease) +
                                     " -c lock_timeout=" + in_ms(how.lock_timeout) +
                                     " -c idle_in_transaction_session_timeout=" + in_ms(how.lease) +
                                     // Not sooner by other means either: its client trusts the lease.
                                     " -c tcp_user_timeout=" + in_ms(how.lease);
        try {
            connection =
                connection_ptr(dial(how.conninfo, {.timeout = how.connect_timeout,
                                                   .wanted = host_role::primary,
                                                   .stop = stop,
                                                   .settings = {{"application_name", how.application_name},
                                                                {"options", options_with(how.conninfo, settings)},
                                                                {"tcp_user_timeout", in_ms(how.lease / 2)},
                                                                {"keepalives_idle", "1"},
                                                                {"keepalives_interval", "1"}}}));
        } catch (const connection_failed& failure) {
            // PgBouncer's answer to settings that it cannot pass on.
            if (std::string_view(failure.what()).find("unsupported startup parameter") != std::string_view::npos)
                throw session_not_dedicated(pooler_advice);
            throw;
        }
        PQsetNoticeReceiver(connection.get(), keep_farewell, this);
        try {
            if (role_of(connection.get()) == host_role::replica)
                throw connection_failed("cannot connect: the server is a replica, and takes no writes");
            refuse_pooler();
        } catch (const error&) {
            connection.reset();
            throw;
        }
    }
};

dedicated_session::dedicated_session(dedicated_options how) : state_(std::make_unique<state>(std::move(how))) {}

dedicated_session::~dedicated_session() = default;

void dedicated_session::open(const std::stop_token& stop) {
    state_->open(stop);
}

void dedicated_session::close() noexcept {
    state_->connection.reset();
}

bool dedicated_session::is_open() const noexcept {
    return state_->connection != nullptr;
}

std::vector<dedicated_session::row>
dedicated_session::ask(const char* sql, std::initializer_list<std::string_view> parameters, clock::time_point until) {
    return state_->ask(sql, parameters, until);
}

dedicated_session::event dedicated_session::wait(clock::time_point until) {
    for (;;) {
        if (!state_->payloads.empty())
            return event::notified;
        switch (state_->poll_for(POLLIN, until)) {
        case state::ready::time:
            return event::time;
        case state::ready::woken:
            return event::woken;
        case state::ready::socket:
            if (!state_->read()) {
                state_->connection.reset();
                return event::lost;
            }
        }
    }
}

void dedicated_session::wake() noexcept {
    state_->woken.set();
}

void dedicated_session::abandon() noexcept {
    state_->abandoned = true;
    state_->woken.set();
}

std::vector<std::string> dedicated_session::take_notifications() {
    return std::exchange(state_->payloads, {});
}

const std::string& dedicated_session::last_words() const noexcept {
    return state_->last_words;
}

} // namespace tenon::detail
