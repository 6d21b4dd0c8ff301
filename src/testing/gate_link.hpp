// What passes through a gate: one client, its server, and where their conversation stands.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "descriptor.hpp"

namespace tenon::testing {

using gate_clock = std::chrono::steady_clock;

// More than this unwritten to one side, and the other is not read until it has gone: as a network would.
constexpr std::size_t congestion = 1U << 20U;

/// Not where a longer word goes on: "commit" is not in "begin isolation level read committed".
[[nodiscard]] bool contains(std::string_view message, std::string_view text);

/// Closes with RST and drops what is unsent: with no time to linger (socket(7), tcp(7)).
void break_off(descriptor& socket);

enum class content {
    message, // one whole message of a client
    stream,  // bytes as they came
    end,     // nothing follows: closed in order
    reset,   // nothing follows: broken off
    cut,     // nothing follows: broken off by the gate
};

struct parcel {
    gate_clock::time_point due{};
    content what = content::stream;
    std::string bytes{};
    bool asks_ready = false; // the server will answer it with ReadyForQuery, among others
    bool by_sync = false;    // and it is a Sync
    bool says_ready = false; // holds the first ReadyForQuery of its connection
    bool cancels = false;    // a cancel request

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
    bool flush(const descriptor& socket);

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
    bool connected = false;   // to the server
    std::uint64_t cancel = 0; // its place among the cancel requests, from 1; 0 is an ordinary connection
    bool cancel_swallowed = false;
    std::size_t tried = 0;              // addresses of the server that did not answer
    gate_clock::time_point dial_from{}; // not before
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

    void cut();

    /// Closes the connection to the server; another one can be made.
    void hang_up_on_server() {
        server.close();
        connected = false;
    }

    [[nodiscard]] bool cancel_is_next() const { return !to_server.kept.empty() && to_server.kept.front().cancels; }

    [[nodiscard]] bool is_over() const {
        const bool server_done = to_server.closed || to_server.broken;
        const bool only_end_left = to_client.flushed() && to_client.kept.size() == 1;
        return (to_client.closed && server_done) || (to_server.closed && to_client.ended && only_end_left);
    }

    void cut_if_served(gate_clock::time_point due) {
        if (serves_until && ready_heard >= *serves_until && !to_client.ended)
            to_client.keep({.due = due, .what = content::cut});
    }

    // The next whole message of `intake` from `at`, or nothing yet. Sets `opaque` when there cannot be one.
    std::optional<parcel> next_message(std::size_t at);
    // Takes apart what the server sends. True when its first ReadyForQuery was in it.
    bool listen_to_server(std::string_view bytes);
    void hear(char type);
};

} // namespace tenon::testing
