#pragma once

/// A door between a client and a PostgreSQL server that a test can close: the faults of a network, on demand.
///
///     tenon::testing::test_database database;
///     tenon::testing::gate gate{database.url()};
///     tenon::connection db{gate.url()};
///     gate.swallow_answer_to("commit"); // the server commits, and the client will never know
///
/// A `gate` listens on a free port of 127.0.0.1 and connects each of its clients onwards to the server, through
/// TCP or the server's Unix socket. Until it is told otherwise it passes every byte on unchanged; the server need
/// not run all the time. It reads the protocol as it passes (manual, "Frontend/Backend Protocol") and hands a
/// client's message on once it has the whole of it. Encrypted connections pass, too, but what is said about
/// messages below cannot apply to them.
///
/// What a member asks for is in force when it returns. Faults combine: a delay stays a delay while connections are
/// refused; `open()` ends them all.
///
/// Threads: any member may be called from any thread. The gate owns one thread and all of its sockets, which the
/// destructor ends.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace tenon::testing {

/// A way that bytes take through a gate.
enum class direction {
    both,
    to_server,
    to_client,
};

class gate {
public:
    /// A gate in front of the server that `conninfo` names: a libpq connection string or URL, such as
    /// `cluster::url()` and `test_database::url()` give. Of several hosts the first is taken. The server is not
    /// contacted before a client comes; a client for whom it cannot be reached is cut off.
    /// Throws: cluster_error when the string cannot be read or names no host that can be found, or no port is free.
    explicit gate(std::string_view conninfo);

    gate(const gate&) = delete;
    gate& operator=(const gate&) = delete;

    /// Closes every connection.
    ~gate();

    /// The connection string given, with the gate's address for the server's, and without encryption unless it
    /// asked for that itself (sslmode, gssencmode).
    [[nodiscard]] std::string url() const;
    [[nodiscard]] std::uint16_t port() const noexcept;

    /// Normal service again: ends whatever the members below have begun, for connections old and new, and forgets
    /// the messages waited for. What was kept is delivered now, in its order, but see `black_hole()`.
    void open();

    /// Delivers everything that comes from now on this much later, in each direction, order and bandwidth kept: a
    /// round trip takes at least twice as long. 0, where a gate starts, is no delay. Below 0 counts as 0.
    void delay(std::chrono::milliseconds each_way);

    /// Cuts off all present connections: the client gets a reset (RST) instead of an orderly end, the server sees
    /// its stream end. New connections pass. All are closed on return.
    void cut();

    /// While true, new connections are reset as soon as they are made; those that exist live on.
    void refuse(bool refused = true);

    /// A network that has fallen silent: connections stay open and are accepted, but nothing is delivered, ends of
    /// streams included. A connection that comes while nothing goes to the server reaches the server afterwards.
    /// `open()` ends it and delivers what was kept, as a network does that comes back; of a client that has hung up
    /// meanwhile, the server sees nothing but the end. A second call replaces the direction of the first.
    void black_hole(direction way = direction::both);

    /// While true, a client is not told that the server's stream has ended, although it gets all bytes before the
    /// end: a server that has said farewell but whose socket is still open.
    void hold_back_end(bool held = true);

    /// Once: the next message of any client that contains `text` is delivered; its client hears nothing from then on,
    /// and is cut off as soon as the server has worked the message off, which ReadyForQuery tells (so a message of
    /// the extended protocol needs its Sync). The server has executed it, and the client cannot know.
    ///
    /// The text is found byte for byte, but not where a longer word goes on: "commit" is not in "read committed".
    /// A prepared statement's text is only in the message that prepares it. A second call replaces the first.
    void swallow_answer_to(std::string_view text);

    /// Waits until an answer has been swallowed since the last `swallow_answer_to()`, and its connection was cut off.
    /// False when the time is over first.
    [[nodiscard]] bool wait_swallowed(std::chrono::milliseconds patience) const;

    /// Once: the next message of any client that contains `text` is not delivered, nor what follows it: the server
    /// never saw it. What its client had sent before is delivered and answered, then the connection is cut off. The
    /// text is found as by `swallow_answer_to()`, and goes first where both match. A second call replaces it.
    void cut_before(std::string_view text);

    /// Cancel requests alone, from now on: each is kept and its connection left open, as if the network were slow for
    /// it, until `release_cancels()`. All else passes as before. A request is a connection of its own that names a
    /// backend (manual, "Canceling Requests in Progress"); one that is encrypted cannot be told from other connections.
    void hold_cancels();

    /// Delivers the requests that were held, in the order they came, and holds no more. Those whose client has hung up
    /// meanwhile are delivered, too: what was sent is on its way. (The server works each off in a process of its own.)
    void release_cancels();

    /// Delivers cancel requests that come from now on this much later, in addition to `delay()`. 0, where a gate
    /// starts, is no delay. Below 0 counts as 0.
    void delay_cancels(std::chrono::milliseconds longer);

    /// While true, cancel requests get lost: those that come are never delivered, not by `open()` either, and their
    /// connections stay open until their client hangs up or `cut()`.
    void swallow_cancels(bool swallowed = true);

    /// Cancel requests that have come; held, delayed and swallowed ones included.
    [[nodiscard]] std::uint64_t cancels() const;

    /// Cancel requests that were handed on to the server.
    [[nodiscard]] std::uint64_t cancels_passed() const;

    /// How often the server spoke after a client had, summed over connections: how often somebody had to wait for
    /// the network. A connection takes one or more before its first statement; `reset_counters()` comes after those.
    [[nodiscard]] std::uint64_t round_trips() const;

    /// Connections accepted, refused ones and those that only carry a cancellation included.
    [[nodiscard]] std::uint64_t connections() const;

    /// Connections that exist now. A closed one counts until the gate has seen both of its sides end.
    [[nodiscard]] std::size_t open_connections() const;

    /// The most connections that were being made at once: accepted, but their client not yet told that the server is
    /// ready for its first statement. One that has hung up is not making a connection any more.
    [[nodiscard]] std::size_t most_dials_at_once() const;

    /// Starts the counters again: `most_dials_at_once()` from those under way now, the others from 0 (but
    /// `open_connections()`, which counts what there is).
    void reset_counters();

private:
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace tenon::testing
