#include <tenon/testing/gate.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <stop_token>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <tenon/testing/cluster.hpp>

#include "gate_address.hpp"
#include "gate_link.hpp"

// One thread does everything: it owns the sockets and what passes, and is the only one to touch them. A member
// hands it a piece of work and waits until it has run.
//
//     client --> intake: whole messages --> kept: until due, and not held --> out: until the socket takes it --> server
//     client <-- out <------------------------- kept <------------------------------ as it comes <-------------- server

namespace tenon::testing {
namespace {

using std::chrono::milliseconds;
using clock = gate_clock;

std::string system_message(int code) {
    return std::generic_category().message(code);
}

descriptor listen_on_loopback() {
    descriptor listener{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    sockaddr_in loopback{};
    loopback.sin_family = AF_INET;
    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const auto* generic = reinterpret_cast<const sockaddr*>(&loopback); // the sockets interface asks for this cast
    if (!listener.is_open() || ::bind(listener.get(), generic, sizeof loopback) != 0 ||
        ::listen(listener.get(), SOMAXCONN) != 0)
        throw cluster_error{"the gate cannot listen on 127.0.0.1: " + system_message(errno)};
    return listener;
}

std::uint16_t port_of(const descriptor& listener) {
    sockaddr_in bound{};
    socklen_t length = sizeof bound;
    auto* generic = reinterpret_cast<sockaddr*>(&bound); // the sockets interface asks for this cast
    if (::getsockname(listener.get(), generic, &length) != 0)
        throw cluster_error{"the gate cannot learn its port: " + system_message(errno)};
    return ntohs(bound.sin_port);
}

descriptor make_bell() {
    descriptor bell{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (!bell.is_open())
        throw cluster_error{"the gate cannot make an eventfd: " + system_message(errno)};
    return bell;
}

// Also while something that it said is still to be read.
bool has_hung_up(const descriptor& client) {
    pollfd look{.fd = client.get(), .events = POLLRDHUP, .revents = 0};
    return ::poll(&look, 1, 0) > 0;
}

// Fails on a Unix socket, where there is nothing to turn off.
void send_without_waiting(const descriptor& socket) {
    const int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

} // namespace

// --- the gate ---------------------------------------------------------------------------------------------------

struct gate::state {
    explicit state(const std::string& conninfo)
        : settings{parse(conninfo)},
          servers{addresses_of(settings)},
          listener{listen_on_loopback()},
          port{port_of(listener)},
          bell{make_bell()},
          worker{[this](const std::stop_token& stop) { work(stop); }} {}

    state(const state&) = delete;
    state& operator=(const state&) = delete;

    ~state() {
        worker.request_stop();
        ring();
    }

    // Has `task` run by the worker, between two looks at the sockets, and waits for it.
    template <class Task>
    void run(Task task) {
        std::unique_lock lock{mutex};
        tasks.emplace_back(std::ref(task));
        const std::uint64_t ticket = ++tasks_given;
        ring();
        changed.wait(lock, [&] { return tasks_done >= ticket; });
    }

    template <class Value>
    Value read(const Value& counter) {
        Value copy{};
        run([&] { copy = counter; });
        return copy;
    }

    void ring() noexcept { ::eventfd_write(bell.get(), 1); }

    void work(const std::stop_token& stop);
    void run_tasks();
    void wait_for_sockets();
    void watch(const link& one);
    void serve(link& one, short client_events, short server_events);

    void accept_clients();
    void dial(link& one);
    void finish_dial(link& one);
    bool read_client(link& one);
    void take_messages(link& one);
    void take_cancel(link& one, parcel request);
    bool read_server(link& one);
    void advance(link& one);
    void advance_to_server(link& one);
    void advance_to_client(link& one) const;
    bool intercept(link& one, const parcel& message);
    [[nodiscard]] bool is_due(const lane& way) const { return !way.kept.empty() && way.kept.front().due <= now; }
    // Nothing goes to the server from it, however much time passes.
    [[nodiscard]] bool is_held(const link& one) const {
        return server_silent || one.cancel_swallowed || (cancels_held && one.cancel_is_next());
    }
    [[nodiscard]] bool wants_server(const link& one) const {
        return !one.server.is_open() && !is_held(one) && (!one.cancel_is_next() || is_due(one.to_server));
    }
    void let_cancels_go() {
        cancels_held = false;
        links.sort([](const link& one, const link& other) { return one.cancel < other.cancel; });
    }
    void remove_ended() {
        links.remove_if([](const link& one) { return one.is_cut() || one.is_over(); });
    }

    const connection_settings settings;
    const std::vector<address> servers;
    const descriptor listener;
    const std::uint16_t port;
    const descriptor bell; // ends the worker's sleep

    std::mutex mutex{};
    std::condition_variable changed{};
    std::vector<std::function<void()>> tasks{};
    std::uint64_t tasks_given = 0;
    std::uint64_t tasks_done = 0;
    bool swallowed = false;
    // The mutex guards what is above, from itself on. What is below is the worker's alone.

    std::list<link> links{};
    std::vector<pollfd> sockets{};
    std::array<char, 65536> buffer{};
    clock::time_point now{};
    clock::time_point wake_at{};
    bool out_of_descriptors = false;

    milliseconds delay{0};
    bool refusing = false;
    bool end_held = false;
    bool server_silent = false; // nothing goes to it
    bool client_silent = false;
    bool cancels_held = false;
    bool cancels_swallowed = false;
    milliseconds cancel_delay{0};
    std::optional<std::string> swallow_text{};
    std::optional<std::string> cut_text{};

    std::uint64_t round_trips = 0;
    std::uint64_t accepted = 0;
    std::uint64_t cancels = 0;
    std::uint64_t cancels_passed = 0;
    std::uint64_t last_cancel = 0; // ever
    std::size_t most_dials = 0;

    [[nodiscard]] std::size_t dials() const {
        return static_cast<std::size_t>(
            std::ranges::count_if(links, [](const link& one) { return !one.ready && !has_hung_up(one.client); }));
    }

    std::jthread worker; // the last member: the first to end
};

void gate::state::work(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        run_tasks();
        now = clock::now();
        for (link& one : links)
            advance(one);
        remove_ended();
        wait_for_sockets();
    }
}

void gate::state::run_tasks() {
    std::vector<std::function<void()>> due;
    {
        const std::scoped_lock lock{mutex};
        due.swap(tasks);
    }
    if (due.empty())
        return;
    now = clock::now();
    for (const auto& task : due)
        task();
    const std::scoped_lock lock{mutex};
    tasks_done += due.size();
    changed.notify_all();
}

void gate::state::watch(const link& one) {
    const auto wake_for = [&](const lane& way, bool held) {
        if (!way.kept.empty() && !held && way.kept.front().due > now)
            wake_at = std::min(wake_at, way.kept.front().due);
    };
    wake_for(one.to_server, is_held(one));
    wake_for(one.to_client, client_silent);
    if (wants_server(one))
        wake_at = std::min(wake_at, one.dial_from);

    int client_events = 0;
    int server_events = 0;
    if (!one.to_server.ended && one.to_server.has_room())
        client_events |= POLLIN;
    if (!one.to_client.flushed() && !client_silent)
        client_events |= POLLOUT;
    if (one.connected && !one.to_client.ended && one.to_client.has_room())
        server_events |= POLLIN;
    if (one.server.is_open() && (!one.connected || (!one.to_server.flushed() && !server_silent)))
        server_events |= POLLOUT;
    // One that nothing is wanted of is left out: a closed one would wake us again and again.
    const auto entry = [](const descriptor& socket, int events) {
        return pollfd{.fd = events == 0 ? -1 : socket.get(), .events = static_cast<short>(events), .revents = 0};
    };
    sockets.push_back(entry(one.client, client_events));
    sockets.push_back(entry(one.server, server_events));
}

void gate::state::wait_for_sockets() {
    wake_at = clock::time_point::max();
    sockets.clear();
    sockets.push_back({.fd = bell.get(), .events = POLLIN, .revents = 0});
    sockets.push_back({.fd = out_of_descriptors ? -1 : listener.get(), .events = POLLIN, .revents = 0});
    if (std::exchange(out_of_descriptors, false))
        wake_at = now + milliseconds{10};
    for (const link& one : links)
        watch(one);

    int timeout = -1;
    if (wake_at != clock::time_point::max()) {
        const auto left = std::chrono::ceil<milliseconds>(wake_at - clock::now()).count();
        timeout = static_cast<int>(std::clamp<std::int64_t>(left, 0, 1'000'000'000));
    }
    if (::poll(sockets.data(), sockets.size(), timeout) <= 0)
        return;
    now = clock::now();

    if (sockets[0].revents != 0) {
        eventfd_t rings = 0;
        ::eventfd_read(bell.get(), &rings);
    }
    std::size_t next = 2;
    for (link& one : links) {
        serve(one, sockets[next].revents, sockets[next + 1].revents);
        next += 2;
    }
    remove_ended();
    if (sockets[1].revents != 0)
        accept_clients();
}

// What can be written is written by advance().
void gate::state::serve(link& one, short client_events, short server_events) {
    constexpr int readable = POLLIN | POLLHUP | POLLERR;
    if (!one.connected && server_events != 0)
        finish_dial(one);
    else if ((server_events & readable) != 0 && !one.to_client.ended)
        read_server(one);
    if (!one.is_cut() && (client_events & readable) != 0 && !one.to_server.ended)
        read_client(one);
}

void gate::state::accept_clients() {
    for (;;) {
        descriptor client{::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
        if (!client.is_open()) {
            if (errno == EINTR || errno == ECONNABORTED)
                continue;
            out_of_descriptors = errno != EAGAIN;
            return;
        }
        ++accepted;
        if (refusing) {
            break_off(client);
            continue;
        }
        send_without_waiting(client);
        links.emplace_back(std::move(client));
        most_dials = std::max(most_dials, std::max<std::size_t>(dials(), 1)); // it may have hung up, too
    }
}

void gate::state::dial(link& one) {
    for (; one.tried < servers.size(); ++one.tried) {
        const address& to = servers[one.tried];
        one.server = descriptor{::socket(to.bytes.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
        if (!one.server.is_open())
            continue;
        send_without_waiting(one.server);
        one.connected = ::connect(one.server.get(), to.generic(), to.length) == 0;
        if (one.connected || errno == EINPROGRESS)
            return;
        one.server.close();
        if (errno == EAGAIN) { // a Unix socket on which too many wait
            one.dial_from = now + milliseconds{1};
            return;
        }
    }
    one.cut();
}

void gate::state::finish_dial(link& one) {
    int failure = 0;
    socklen_t length = sizeof failure;
    ::getsockopt(one.server.get(), SOL_SOCKET, SO_ERROR, &failure, &length);
    one.connected = failure == 0;
    if (one.connected)
        return;
    one.server.close();
    ++one.tried;
    dial(one);
}

// False when there is nothing to read.
bool gate::state::read_client(link& one) {
    const ssize_t got = ::recv(one.client.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got > 0) {
        one.client_spoke_last = true;
        one.intake.append(buffer.data(), static_cast<std::size_t>(got));
        take_messages(one);
        return true;
    }
    if (one.cancel_swallowed) {
        one.cut();
        return true;
    }
    // Of a client that went while nothing was delivered, nothing will be.
    if (server_silent)
        one.to_server.kept.clear();
    else if (!one.intake.empty())
        one.to_server.keep({.due = now + delay, .bytes = std::exchange(one.intake, {})});
    one.to_server.keep({.due = now + delay, .what = got == 0 ? content::end : content::reset});
    return true;
}

void gate::state::take_messages(link& one) {
    std::size_t taken = 0;
    while (!one.opaque) {
        std::optional<parcel> message = one.next_message(taken);
        if (!message)
            break;
        taken += message->bytes.size();
        message->due = now + delay;
        if (message->cancels)
            take_cancel(one, std::move(*message));
        else
            one.to_server.keep(std::move(*message));
    }
    one.intake.erase(0, taken);
    if (one.opaque && !one.intake.empty())
        one.to_server.keep({.due = now + delay, .bytes = std::exchange(one.intake, {})});
}

// One that has to wait does so without the server, which would end it after a minute (authentication_timeout).
void gate::state::take_cancel(link& one, parcel request) {
    ++cancels;
    one.cancel = ++last_cancel;
    one.cancel_swallowed = cancels_swallowed;
    request.due += cancel_delay;
    if (cancels_held || cancels_swallowed || request.due > now)
        one.hang_up_on_server();
    if (!cancels_swallowed)
        one.to_server.keep(std::move(request));
}

// False when there is nothing to read.
bool gate::state::read_server(link& one) {
    const ssize_t got = ::recv(one.server.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got <= 0) {
        if (one.swallows_until)
            one.cut();
        else
            one.to_client.keep({.due = now + delay, .what = got == 0 ? content::end : content::reset});
        return true;
    }
    if (std::exchange(one.client_spoke_last, false))
        ++round_trips;
    const std::string_view bytes{buffer.data(), static_cast<std::size_t>(got)};
    const bool says_ready = one.listen_to_server(bytes);
    if (!one.swallows_until) {
        one.to_client.keep({.due = now + delay, .bytes = std::string{bytes}, .says_ready = says_ready});
    } else if (one.ready_heard >= *one.swallows_until) {
        one.cut();
        const std::scoped_lock lock{mutex};
        swallowed = true;
        changed.notify_all();
    }
    one.cut_if_served(now + delay);
    return true;
}

void gate::state::advance(link& one) {
    if (!one.is_cut() && wants_server(one) && one.dial_from <= now) {
        if (one.to_server.ended && one.to_server.kept.size() == 1) // it went before its turn came
            one.cut();
        else
            dial(one);
    }
    if (!one.is_cut() && one.connected && !is_held(one))
        advance_to_server(one);
    if (!one.is_cut() && !client_silent)
        advance_to_client(one);
}

// True when the message is not to be delivered, nor what follows it.
bool gate::state::intercept(link& one, const parcel& message) {
    const auto matches = [&](const std::optional<std::string>& text) {
        return text && message.what == content::message && contains(message.bytes, *text);
    };
    if (matches(cut_text)) {
        cut_text.reset();
        // A server that cannot send an answer gives up, so it is left to answer what came before.
        one.serves_until = one.ready_asked;
        one.cut_if_served(now + delay);
        return true;
    }
    if (matches(swallow_text) && !one.swallows_until && !one.to_client.ended) {
        swallow_text.reset();
        one.swallows_until = one.ready_asked + 1;
        one.to_client.drop();
    }
    return false;
}

void gate::state::advance_to_server(link& one) {
    lane& way = one.to_server;
    do {
        while (is_due(way)) {
            const parcel& next = way.kept.front();
            if (!next.is_last()) {
                if (intercept(one, next)) {
                    way.kept.clear();
                    way.cut_off = true;
                    break;
                }
                if (next.asks_ready) {
                    ++one.ready_asked;
                    one.sync_last = next.by_sync;
                }
                cancels_passed += next.cancels ? 1 : 0;
                way.out += next.bytes;
                way.kept.pop_front();
                continue;
            }
            if (!way.flushed())
                break;
            if (next.what == content::reset && !one.swallows_until)
                return one.cut();
            ::shutdown(one.server.get(), SHUT_WR);
            way.kept.pop_front();
            way.closed = true;
            return;
        }
        if (!way.flush(one.server)) { // it has hung up; what it said last is still to be read
            way.drop();
            way.broken = true;
            way.closed = way.ended;
            return;
        }
    } while (way.flushed() && is_due(way));
}

void gate::state::advance_to_client(link& one) const {
    lane& way = one.to_client;
    const auto may_go = [&] {
        return is_due(way) && (!end_held || !way.kept.front().is_last() || way.kept.front().what == content::cut);
    };
    do {
        while (may_go()) {
            const parcel& next = way.kept.front();
            if (!next.is_last()) {
                one.ready = one.ready || next.says_ready;
                way.out += next.bytes;
                way.kept.pop_front();
                continue;
            }
            if (!way.flushed())
                break;
            if (next.what != content::end)
                return one.cut();
            ::shutdown(one.client.get(), SHUT_WR);
            way.kept.pop_front();
            way.closed = true;
            return;
        }
        if (!way.flush(one.client))
            return one.cut();
    } while (way.flushed() && may_go());
}

// --- what a test says ---------------------------------------------------------------------------------------------

gate::gate(std::string_view conninfo) : state_{std::make_unique<state>(std::string{conninfo})} {}

gate::~gate() = default;

std::string gate::url() const {
    return url_through(state_->settings, state_->port);
}

std::uint16_t gate::port() const noexcept {
    return state_->port;
}

void gate::open() {
    state& self = *state_;
    self.run([&self] {
        // Who has hung up by now has done so before the network came back.
        if (self.server_silent)
            for (link& one : self.links)
                while (!one.to_server.ended && self.read_client(one)) {
                }
        self.delay = milliseconds{0};
        self.refusing = self.end_held = self.server_silent = self.client_silent = self.cancels_swallowed = false;
        self.cancel_delay = milliseconds{0};
        self.let_cancels_go();
        self.swallow_text.reset();
        self.cut_text.reset();
        for (link& one : self.links)
            for (lane* way : {&one.to_server, &one.to_client})
                for (parcel& kept : way->kept)
                    kept.due = self.now;
    });
}

void gate::delay(milliseconds each_way) {
    state_->run([&] { state_->delay = std::max(each_way, milliseconds{0}); });
}

void gate::cut() {
    state& self = *state_;
    self.run([&self] {
        self.accept_clients();
        for (link& one : self.links)
            one.cut();
        self.links.clear();
    });
}

void gate::refuse(bool refused) {
    state_->run([&] { state_->refusing = refused; });
}

void gate::black_hole(direction way) {
    state_->run([&] {
        state_->server_silent = way != direction::to_client;
        state_->client_silent = way != direction::to_server;
    });
}

void gate::hold_back_end(bool held) {
    state_->run([&] { state_->end_held = held; });
}

void gate::swallow_answer_to(std::string_view text) {
    state_->run([&] {
        state_->swallow_text = text;
        const std::scoped_lock lock{state_->mutex};
        state_->swallowed = false;
    });
}

bool gate::wait_swallowed(milliseconds patience) const {
    std::unique_lock lock{state_->mutex};
    return state_->changed.wait_for(lock, patience, [&] { return state_->swallowed; });
}

void gate::cut_before(std::string_view text) {
    state_->run([&] { state_->cut_text = text; });
}

void gate::hold_cancels() {
    state_->run([&] { state_->cancels_held = true; });
}

void gate::release_cancels() {
    state_->run([&] { state_->let_cancels_go(); });
}

void gate::delay_cancels(milliseconds longer) {
    state_->run([&] { state_->cancel_delay = std::max(longer, milliseconds{0}); });
}

void gate::swallow_cancels(bool swallowed) {
    state_->run([&] { state_->cancels_swallowed = swallowed; });
}

std::uint64_t gate::cancels() const {
    return state_->read(state_->cancels);
}

std::uint64_t gate::cancels_passed() const {
    return state_->read(state_->cancels_passed);
}

std::uint64_t gate::round_trips() const {
    return state_->read(state_->round_trips);
}

std::uint64_t gate::connections() const {
    return state_->read(state_->accepted);
}

std::size_t gate::open_connections() const {
    std::size_t count = 0;
    state_->run([&] { count = state_->links.size(); });
    return count;
}

std::size_t gate::most_dials_at_once() const {
    return state_->read(state_->most_dials);
}

void gate::reset_counters() {
    state_->run([&] {
        state_->round_trips = state_->accepted = state_->cancels = state_->cancels_passed = 0;
        state_->most_dials = state_->dials();
    });
}

} // namespace tenon::testing
