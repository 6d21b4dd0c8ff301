#include <tenon/testing/gate.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstring>
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

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <libpq-fe.h>

#include <tenon/testing/cluster.hpp>

// One thread does everything: it owns the sockets and what passes, and is the only one to touch them. A member
// hands it a piece of work and waits until it has run.
//
//     client --> intake: whole messages --> kept: until due, and not held --> out: until the socket takes it --> server
//     client <-- out <------------------------- kept <------------------------------ as it comes <-------------- server

namespace tenon::testing {
namespace {

using std::chrono::milliseconds;
using clock = std::chrono::steady_clock;

// More than this unwritten to one side, and the other is not read until it has gone: as a network would.
constexpr std::size_t congestion = 1U << 20U;

std::string system_message(int code) {
    return std::generic_category().message(code);
}

// --- where to ---------------------------------------------------------------------------------------------------

using connection_settings = std::vector<std::pair<std::string, std::string>>;

connection_settings settings_of(const PQconninfoOption* options) {
    connection_settings result;
    for (const PQconninfoOption* option = options; option != nullptr && option->keyword != nullptr; ++option)
        if (option->val != nullptr)
            result.emplace_back(option->keyword, option->val);
    return result;
}

// The message of libpq is not passed on: it quotes the string, which may hold a password.
connection_settings parse(const std::string& conninfo) {
    const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options{
        PQconninfoParse(conninfo.c_str(), nullptr), PQconninfoFree};
    if (!options)
        throw cluster_error{"a gate needs a connection string as libpq reads it: postgresql://user@host:port/database "
                            "with special characters percent-encoded, or key='value' pairs"};
    return settings_of(options.get());
}

// What the environment sets (PGHOST, PGPORT) or libpq has built in.
connection_settings defaults() {
    const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options{PQconndefaults(), PQconninfoFree};
    return settings_of(options.get());
}

std::string_view value_of(const connection_settings& settings, std::string_view keyword) {
    for (const auto& [name, value] : settings)
        if (name == keyword)
            return value;
    return {};
}

// The first of a list such as libpq takes for host, hostaddr and port.
std::string first_of(std::string_view list) {
    return std::string{list.substr(0, list.find(','))};
}

struct address {
    sockaddr_storage bytes{};
    socklen_t length = 0;

    [[nodiscard]] const sockaddr* generic() const {
        return reinterpret_cast<const sockaddr*>(&bytes); // the sockets interface asks for this cast
    }
};

address unix_address(const std::string& path) {
    sockaddr_un local{};
    local.sun_family = AF_UNIX;
    if (path.size() >= sizeof local.sun_path)
        throw cluster_error{"the path of the server's Unix socket is too long: " + path};
    path.copy(local.sun_path, path.size());
    address result;
    result.length = sizeof local;
    std::memcpy(&result.bytes, &local, sizeof local);
    return result;
}

std::vector<address> tcp_addresses(const std::string& host, const std::string& port) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int failure = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
    if (failure != 0)
        throw cluster_error{"the gate's server " + host + ":" + port + " cannot be found: " + ::gai_strerror(failure)};
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned{found, ::freeaddrinfo};
    std::vector<address> result;
    for (const addrinfo* next = found; next != nullptr; next = next->ai_next) {
        address& copy = result.emplace_back();
        copy.length = next->ai_addrlen;
        std::memcpy(&copy.bytes, next->ai_addr, next->ai_addrlen);
    }
    return result;
}

std::vector<address> addresses_of(connection_settings settings) {
    const connection_settings built_in = defaults();
    settings.insert(settings.end(), built_in.begin(), built_in.end());
    std::string host = first_of(value_of(settings, "hostaddr"));
    if (host.empty())
        host = first_of(value_of(settings, "host"));
    if (host.empty())
        throw cluster_error{"a gate needs to know its server: name the host, or the folder of its Unix socket, in the "
                            "connection string or in PGHOST"};
    const std::string port = first_of(value_of(settings, "port"));
    if (host.starts_with('/'))
        return {unix_address(host + "/.s.PGSQL." + port)};
    return tcp_addresses(host, port);
}

std::string url_through(const connection_settings& settings, std::uint16_t port) {
    std::string result = "host=127.0.0.1 port=" + std::to_string(port);
    for (const char* encryption : {"sslmode", "gssencmode"})
        if (value_of(settings, encryption).empty())
            result += std::string{" "} + encryption + "=disable";
    for (const auto& [keyword, value] : settings) {
        if (keyword == "host" || keyword == "hostaddr" || keyword == "port" || value.empty())
            continue;
        result += ' ' + keyword + "='";
        for (const char c : value) {
            if (c == '\'' || c == '\\')
                result += '\\';
            result += c;
        }
        result += '\'';
    }
    return result;
}

// --- sockets ----------------------------------------------------------------------------------------------------

class descriptor {
public:
    descriptor() = default;
    explicit descriptor(int number) noexcept : number_{number} {}
    descriptor(const descriptor&) = delete;
    descriptor& operator=(const descriptor&) = delete;
    descriptor(descriptor&& other) noexcept : number_{std::exchange(other.number_, -1)} {}
    descriptor& operator=(descriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    ~descriptor() { close(); }

    void close() noexcept {
        if (number_ >= 0)
            ::close(std::exchange(number_, -1));
    }
    [[nodiscard]] bool is_open() const noexcept { return number_ >= 0; }
    [[nodiscard]] int get() const noexcept { return number_; }

private:
    int number_ = -1;
};

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

// Fails on a Unix socket, where there is nothing to turn off.
void send_without_waiting(const descriptor& socket) {
    const int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// With no time to linger, closing sends RST and drops what is unsent (socket(7), tcp(7)).
void reset(descriptor& socket) {
    const linger none{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &none, sizeof none);
    socket.close();
}

// --- what passes ------------------------------------------------------------------------------------------------

// Not where a longer word goes on: "commit" is not in "begin isolation level read committed".
bool contains(std::string_view message, std::string_view text) {
    const auto in_word = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    };
    for (std::size_t at = message.find(text); at != std::string_view::npos; at = message.find(text, at + 1)) {
        const std::size_t end = at + text.size();
        if (end == message.size() || text.empty() || !in_word(text.back()) || !in_word(message[end]))
            return true;
    }
    return false;
}

std::uint32_t big_endian(std::string_view four_bytes) {
    std::uint32_t number = 0;
    for (const char c : four_bytes.substr(0, 4))
        number = number << 8U | static_cast<unsigned char>(c);
    return number;
}

enum class content {
    message, // one whole message of a client
    stream,  // bytes as they came
    end,     // nothing follows: closed in order
    reset,   // nothing follows: broken off
    cut,     // nothing follows: broken off by the gate
};

struct parcel {
    clock::time_point due{};
    content what = content::stream;
    std::string bytes{};
    bool asks_ready = false; // the server will answer it with ReadyForQuery, among others
    bool by_sync = false;    // and it is a Sync
    bool says_ready = false; // holds the first ReadyForQuery of its connection

    [[nodiscard]] bool is_last() const { return what != content::message && what != content::stream; }
};

struct lane {
    std::deque<parcel> kept{};
    std::string out{};
    std::size_t written = 0; // of `out`
    bool ended = false;      // nothing more comes
    bool closed = false;     // the end was passed on
    bool cut_off = false;    // nothing more is taken
    bool broken = false;     // nothing more can be delivered

    [[nodiscard]] bool flushed() const { return written == out.size(); }
    [[nodiscard]] bool has_room() const { return out.size() - written < congestion; }

    void keep(parcel next) {
        ended = ended || next.is_last();
        if (!(broken || cut_off) || ended)
            kept.push_back(std::move(next));
    }

    void drop() {
        kept.clear();
        out.clear();
        written = 0;
    }

    // Writes what it can. False when nothing more will go this way.
    bool flush(const descriptor& socket) {
        while (!flushed()) {
            const ssize_t sent = ::send(socket.get(), out.data() + written, out.size() - written, MSG_NOSIGNAL);
            if (sent < 0 && errno == EINTR)
                continue;
            if (sent < 0) {
                const bool full = errno == EAGAIN;
                forget_written();
                return full;
            }
            written += static_cast<std::size_t>(sent);
        }
        forget_written();
        return true;
    }

    // As soon as that is half of it, so that no byte is moved often.
    void forget_written() {
        if (written > out.size() / 2 || flushed()) {
            out.erase(0, written);
            written = 0;
        }
    }
};

// One client, its server, and where their conversation stands.
struct link {
    explicit link(descriptor accepted) : client{std::move(accepted)} {}

    descriptor client;
    descriptor server{};
    bool connected = false;        // to the server
    std::size_t tried = 0;         // addresses of the server that did not answer
    clock::time_point dial_from{}; // not before
    lane to_server{};
    lane to_client{};

    std::string intake{};        // of the client, less than a message
    bool started = false;        // the client has sent its startup message; the next ones carry a type
    bool opaque = false;         // encrypted, or not PostgreSQL's protocol
    bool short_answer = false;   // the server answers an encryption request by one byte
    std::string header{};        // of the server's message, less than its five bytes
    std::uint32_t body_left = 0; // of the server's message
    char message_type = '\0';

    bool client_spoke_last = false;
    bool ready = false;       // the client knows that the server is
    bool heard_ready = false; // the gate does
    bool sync_last = false;   // the last message that asks for ReadyForQuery was a Sync
    std::uint64_t ready_asked = 0;
    std::uint64_t ready_heard = 0;
    std::optional<std::uint64_t> swallows_until{}; // the count of ready_heard that ends it, with a cut
    std::optional<std::uint64_t> serves_until{};   // the same, after what was answered so far is delivered

    [[nodiscard]] bool is_cut() const { return !client.is_open(); }

    void cut() {
        reset(client);
        server.close();
    }

    [[nodiscard]] bool is_over() const {
        const bool server_done = to_server.closed || to_server.broken;
        const bool only_end_left = to_client.flushed() && to_client.kept.size() == 1;
        return (to_client.closed && server_done) || (to_server.closed && to_client.ended && only_end_left);
    }

    void cut_if_served(clock::time_point due) {
        if (serves_until && ready_heard >= *serves_until && !to_client.ended)
            to_client.keep({.due = due, .what = content::cut});
    }

    // The next whole message of `intake` from `at`, or nothing yet. Sets `opaque` when there cannot be one.
    std::optional<parcel> next_message(std::size_t at);
    // Takes apart what the server sends. True when its first ReadyForQuery was in it.
    bool listen_to_server(std::string_view bytes);
    void hear(char type);
};

std::optional<parcel> link::next_message(std::size_t at) {
    constexpr std::uint32_t cancel_request = 80877102;
    constexpr std::uint32_t ssl_request = 80877103;
    constexpr std::uint32_t gss_request = 80877104;
    constexpr std::uint32_t longest_start = 10'000; // as the server has it (MAX_STARTUP_PACKET_LENGTH)

    const std::string_view rest = std::string_view{intake}.substr(at);
    const std::size_t type_size = started ? 1 : 0;
    if (rest.size() < type_size + 4)
        return {};
    const std::uint32_t length = big_endian(rest.substr(type_size));
    if (length < (started ? 4U : 8U) || (!started && length > longest_start)) {
        opaque = true;
        return {};
    }
    const std::size_t size = type_size + length;
    if (rest.size() < size)
        return {};

    parcel message{.what = content::message, .bytes = std::string{rest.substr(0, size)}};
    if (started) {
        const char type = rest.front();
        message.by_sync = type == 'S';
        message.asks_ready = type == 'Q' || type == 'F' || type == 'S';
        return message;
    }
    const std::uint32_t code = big_endian(rest.substr(4));
    if (code == ssl_request || code == gss_request) {
        short_answer = true;
    } else if (code == cancel_request) {
        ready = true; // as much as it will ever be
        opaque = true;
    } else {
        started = true;
        message.asks_ready = true;
    }
    return message;
}

bool link::listen_to_server(std::string_view bytes) {
    const bool knew = heard_ready;
    if (short_answer && !bytes.empty()) {
        short_answer = false;
        opaque = opaque || bytes.front() != 'N';
        bytes.remove_prefix(1);
    }
    while (!bytes.empty() && !opaque) {
        if (body_left > 0) {
            const std::size_t taken = std::min<std::size_t>(body_left, bytes.size());
            body_left -= static_cast<std::uint32_t>(taken);
            bytes.remove_prefix(taken);
            if (body_left == 0)
                hear(message_type);
            continue;
        }
        header += bytes.front();
        bytes.remove_prefix(1);
        if (header.size() < 5)
            continue;
        message_type = header.front();
        const std::uint32_t length = big_endian(std::string_view{header}.substr(1));
        header.clear();
        if (length < 4) {
            opaque = true;
        } else {
            body_left = length - 4;
            if (body_left == 0)
                hear(message_type);
        }
    }
    ready = ready || opaque; // it cannot be told any more
    return heard_ready && !knew;
}

void link::hear(char type) {
    if (type == 'Z') {
        heard_ready = true;
        ++ready_heard;
    } else if (type == 'G' && sync_last) {
        // A COPY FROM STDIN in the extended protocol: the Sync that came with it is ignored (manual, "COPY
        // Operations"), another one will follow the data.
        --ready_asked;
    }
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
    void take_messages(link& one) const;
    bool read_server(link& one);
    void advance(link& one);
    void advance_to_server(link& one);
    void advance_to_client(link& one) const;
    bool intercept(link& one, const parcel& message);
    [[nodiscard]] bool is_due(const lane& way) const { return !way.kept.empty() && way.kept.front().due <= now; }
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
    std::optional<std::string> swallow_text{};
    std::optional<std::string> cut_text{};

    std::uint64_t round_trips = 0;
    std::uint64_t accepted = 0;
    std::size_t most_dials = 0;

    [[nodiscard]] std::size_t dials() const {
        return static_cast<std::size_t>(std::ranges::count_if(links, [](const link& one) { return !one.ready; }));
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
    wake_for(one.to_server, server_silent);
    wake_for(one.to_client, client_silent);
    if (!one.server.is_open() && !server_silent)
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
            reset(client);
            continue;
        }
        send_without_waiting(client);
        links.emplace_back(std::move(client));
        most_dials = std::max(most_dials, dials());
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
    // Of a client that went while nothing was delivered, nothing will be.
    if (server_silent)
        one.to_server.kept.clear();
    else if (!one.intake.empty())
        one.to_server.keep({.due = now + delay, .bytes = std::exchange(one.intake, {})});
    one.to_server.keep({.due = now + delay, .what = got == 0 ? content::end : content::reset});
    return true;
}

void gate::state::take_messages(link& one) const {
    std::size_t taken = 0;
    while (!one.opaque) {
        std::optional<parcel> message = one.next_message(taken);
        if (!message)
            break;
        taken += message->bytes.size();
        message->due = now + delay;
        one.to_server.keep(std::move(*message));
    }
    one.intake.erase(0, taken);
    if (one.opaque && !one.intake.empty())
        one.to_server.keep({.due = now + delay, .bytes = std::exchange(one.intake, {})});
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
    if (!one.is_cut() && !one.server.is_open() && !server_silent && one.dial_from <= now) {
        if (one.to_server.ended && one.to_server.kept.size() == 1) // it went before its turn came
            one.cut();
        else
            dial(one);
    }
    if (!one.is_cut() && one.connected && !server_silent)
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
        self.refusing = self.end_held = self.server_silent = self.client_silent = false;
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
        state_->round_trips = 0;
        state_->accepted = 0;
        state_->most_dials = state_->dials();
    });
}

} // namespace tenon::testing
