#include <tenon/testing/gate.hpp>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <libpq-fe.h>

#include <tenon/tenon.hpp>
#include <tenon/testing/cluster.hpp>
#include <tenon/testing/test_database.hpp>

#include "ask.hpp"
#include "support/eventually.hpp"

using namespace tenon;
using namespace std::chrono_literals;
using tenon::testing::direction;
using tenon::testing::gate;
using tenon::tests::ask;
using tenon::tests::eventually;

namespace {

using session = std::unique_ptr<PGconn, void (*)(PGconn*)>;

struct Number {
    int n{};

    static constexpr auto table = tenon::table("t", tenon::key<&Number::n>);
};

// A database behind a gate, with an empty table `t (n int)`.
struct gated {
    testing::test_database database{};
    gate door{database.url()};

    gated() { ask(database.url(), "CREATE TABLE t (n int)"); }

    // Past the gate.
    std::string ask_directly(const std::string& sql) const { return ask(database.url(), sql); }

    [[nodiscard]] session connect() const {
        session made{PQconnectdb(door.url().c_str()), PQfinish};
        REQUIRE(PQstatus(made.get()) == CONNECTION_OK);
        return made;
    }
};

void insert_one(connection& db) {
    transaction tx(db);
    tx.execute("insert into t values ($1)", 1);
    tx.commit();
}

std::size_t open_files() {
    const std::filesystem::directory_iterator files{"/proc/self/fd"};
    return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

// What `action` throws; the test fails when it does not.
template <class Error>
Error error_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const Error& error) {
        return error;
    }
    FAIL("nothing was thrown");
    throw; // not reached
}

// What a look at the socket finds without taking it: the number of bytes, 0 for the end of the stream, -1 for
// nothing yet, -2 for a broken connection.
int peek(const session& from) {
    char byte = '\0';
    const ssize_t got = ::recv(PQsocket(from.get()), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got >= 0)
        return static_cast<int>(got);
    return errno == EAGAIN ? -1 : -2;
}

using cancel_handle = std::unique_ptr<PGcancel, void (*)(PGcancel*)>;

// Sends a cancel request and waits for its connection's end, as PQcancel does: true when it was sent.
std::future<bool> cancel(const session& what) {
    return std::async(std::launch::async, [handle = cancel_handle{PQgetCancel(what.get()), PQfreeCancel}] {
        return PQcancel(handle.get(), nullptr, 0) == 1;
    });
}

// A statement that only a cancellation ends, or its database.
struct long_statement {
    explicit long_statement(const gated& on) : t{on}, client{on.connect()} {
        REQUIRE(PQsendQuery(client.get(), "SELECT pg_sleep(3600)") == 1);
        REQUIRE(eventually([this] { return runs(); }));
    }
    [[nodiscard]] bool runs() const {
        return t.ask_directly("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND pid = " + pid) ==
               "1";
    }
    [[nodiscard]] bool was_cancelled() const {
        const std::unique_ptr<PGresult, void (*)(PGresult*)> answer{PQgetResult(client.get()), PQclear};
        const char* const state = PQresultErrorField(answer.get(), PG_DIAG_SQLSTATE);
        return state != nullptr && std::string_view{state} == "57014";
    }

    const gated& t;
    session client;
    std::string pid = std::to_string(PQbackendPID(client.get()));
};

bool is_over(const std::future<bool>& request) {
    return request.wait_for(0s) == std::future_status::ready;
}

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in place{};
    place.sin_family = AF_INET;
    place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    place.sin_port = htons(port);
    return place;
}

// One end of a TCP connection, without libpq.
struct raw_socket {
    explicit raw_socket(int number) : fd{number} {
        const timeval patience{.tv_sec = 20, .tv_usec = 0}; // what fails does not hang
        REQUIRE(::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    }
    raw_socket(raw_socket&& other) noexcept : fd{std::exchange(other.fd, -1)} {}
    raw_socket& operator=(raw_socket&&) = delete;
    ~raw_socket() {
        if (fd >= 0)
            ::close(fd);
    }
    void send(std::string_view bytes) const {
        REQUIRE(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
    }
    // Until the other side has ended.
    [[nodiscard]] std::string receive_all() const {
        std::string all;
        char byte = '\0';
        while (::recv(fd, &byte, 1, 0) == 1)
            all += byte;
        return all;
    }

    int fd;
};

raw_socket connect_to(std::uint16_t port) {
    raw_socket made{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const sockaddr_in to = loopback(port);
    REQUIRE(::connect(made.fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
    return made;
}

// Stands where a server would: shows which connections come, in which order, and what they say.
struct listening_place {
    listening_place() {
        sockaddr_in at = loopback(0);
        socklen_t length = sizeof at;
        REQUIRE(::bind(door.fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
        REQUIRE(::listen(door.fd, 16) == 0);
        REQUIRE(::getsockname(door.fd, reinterpret_cast<sockaddr*>(&at), &length) == 0);
        url = "host=127.0.0.1 user=nobody port=" + std::to_string(ntohs(at.sin_port));
    }
    [[nodiscard]] raw_socket next() const { return raw_socket{::accept4(door.fd, nullptr, nullptr, SOCK_CLOEXEC)}; }

    raw_socket door{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    std::string url{};
};

// Length 16, code 80877102, process id 7, and `key` as the last byte of four.
std::string cancel_request(char key) {
    using namespace std::string_literals;
    return "\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x07\0\0\0"s + key;
}

} // namespace

TEST_CASE("statements pass a gate unchanged") {
    const gated t;
    connection db{t.door.url()};

    insert_one(db);

    CHECK(t.ask_directly("SELECT n FROM t") == "1");
    CHECK(t.door.connections() == 1);
    CHECK(t.door.open_connections() == 1);
    db.close();
    CHECK(eventually([&] { return t.door.open_connections() == 0; }));
}

TEST_CASE("a gate keeps the settings of the connection string") {
    const testing::test_database database;
    const bool is_url = database.url().find("://") != std::string::npos;
    const gate door{database.url() +
                    (is_url ? "?application_name=it's%20%5C%20me" : " application_name='it\\'s \\\\ me'")};

    CHECK(ask(door.url(), "SHOW application_name") == "it's \\ me");
    CHECK(ask(door.url(), "SELECT current_database()") == database.name());
}

TEST_CASE("five megabytes pass a gate both ways") {
    gated t;
    t.ask_directly("CREATE TABLE large (value text)");
    const std::string sent = [] {
        std::string text;
        for (int i = 0; text.size() < 5'000'000; ++i)
            text += std::to_string(i) + ' ';
        return text;
    }();
    connection db{t.door.url()};

    transaction tx(db);
    tx.execute("insert into large values ($1)", sent);
    constexpr query<std::string> read{"select value from large"};
    CHECK(read.one(tx) == sent);

    t.door.delay(3ms); // and in order when they are late
    CHECK(read.one(tx) == sent);
}

TEST_CASE("a gate stands before a server on TCP that asks for a password") {
    const testing::cluster server{{.listen_tcp = true}};
    const gate door{server.tcp_url()};

    CHECK(ask(door.url(), "SELECT inet_server_port()") == std::to_string(server.port()));
}

TEST_CASE("a gate serves again when its server has come back") {
    testing::cluster server;
    const gate door{server.url()};
    server.stop(testing::stop_mode::immediate);
    CHECK_THROWS_AS(connection{door.url()}, connection_failed);

    server.start();

    CHECK(ask(door.url(), "SELECT 1") == "1");
}

TEST_CASE("a gate refuses what names no server, and does not repeat it") {
    const auto reason = [](const char* conninfo) {
        return std::string{error_of<testing::cluster_error>([&] { const gate door{conninfo}; }).what()};
    };
    CHECK(reason("host=/tmp secret").find("secret") == std::string::npos);
    CHECK(reason("host=no-such-host.invalid").find("no-such-host.invalid:5432 cannot be found") != std::string::npos);
}

TEST_CASE("a cut is connection_lost, and a new connection works") {
    gated t;
    connection db{t.door.url()};
    transaction tx(db);
    tx.execute("insert into t values (1)");

    t.door.cut();
    CHECK(t.door.open_connections() == 0);

    const auto lost = error_of<connection_lost>([&] { tx.execute("select 1"); });
    CHECK_FALSE(lost.outcome_unknown());
    connection again{t.door.url()};
    insert_one(again);
    CHECK(eventually([&] { return t.ask_directly("SELECT count(*) FROM t") == "1"; }));
}

TEST_CASE("a cut resets the client's connection") {
    gated t;
    const session client = t.connect();

    t.door.cut();

    CHECK(peek(client) == -2);
}

TEST_CASE("a refusing gate lets nobody in, and serves those who are") {
    gated t;
    connection before{t.door.url()};

    t.door.refuse();
    CHECK_THROWS_AS(connection{t.door.url()}, connection_failed);
    insert_one(before);
    CHECK(t.ask_directly("SELECT count(*) FROM t") == "1");

    t.door.refuse(false);
    CHECK_NOTHROW(connection{t.door.url()});
}

TEST_CASE("a delay is added to each way of a round trip") {
    gated t;
    connection db{t.door.url()};
    insert_one(db);
    transaction tx(db);
    t.door.delay(40ms);

    const auto start = std::chrono::steady_clock::now();
    tx.execute("insert into t values ($1)", 1);
    CHECK(std::chrono::steady_clock::now() - start >= 80ms);
}

TEST_CASE(
    "a connection without answers is given up by response_timeout, and a new one works when the network is back") {
    gated t;
    auto patience = 200ms;
    REQUIRE(eventually([&] { // more is given until the server answers in time
        connection db{t.door.url(), {.response_timeout = patience}};
        try {
            transaction tx(db);
            tx.execute("select 1");
            t.door.black_hole();
            CHECK_THROWS_AS(tx.execute("select 1"), connection_lost);
            CHECK_FALSE(db.is_open());
            return true;
        } catch (const connection_lost&) {
            patience *= 4;
            return false;
        }
    }));
    t.door.open();

    CHECK_NOTHROW(connection{t.door.url()});
}

TEST_CASE("nobody answers a connection that is made into a black hole, until it opens") {
    gated t;
    t.door.black_hole();
    CHECK_THROWS_AS((connection{t.door.url(), {.connect_timeout = 50ms}}), connection_failed);

    auto waiting = std::async(std::launch::async, [&] { return ask(t.door.url(), "SELECT current_database()"); });
    CHECK(eventually([&] { return t.door.connections() == 2; }));
    t.door.open();

    CHECK(waiting.get() == t.database.name());
}

TEST_CASE("what the server said into a black hole arrives when it opens") {
    gated t;
    const session client = t.connect();
    t.door.black_hole(direction::to_client);
    REQUIRE(PQsendQuery(client.get(), "INSERT INTO t VALUES (1)") == 1);
    REQUIRE(eventually([&] { return t.ask_directly("SELECT count(*) FROM t") == "1"; }));
    CHECK(peek(client) == -1);

    t.door.open();

    const std::unique_ptr<PGresult, void (*)(PGresult*)> answer{PQgetResult(client.get()), PQclear};
    CHECK(PQresultStatus(answer.get()) == PGRES_COMMAND_OK);
}

TEST_CASE("the server never sees what a client said into a black hole before it hung up") {
    gated t;
    session client = t.connect();
    const std::string pid = std::to_string(PQbackendPID(client.get()));
    t.door.black_hole(direction::to_server);
    REQUIRE(PQsendQuery(client.get(), "INSERT INTO t VALUES (1)") == 1);
    client.reset();
    CHECK(t.ask_directly("SELECT count(*) FROM pg_stat_activity WHERE pid = " + pid) == "1");

    t.door.open();

    CHECK(eventually([&] { return t.door.open_connections() == 0; }));
    CHECK(t.ask_directly("SELECT count(*) FROM t") == "0");
}

TEST_CASE("a client hears a farewell, but not the end of the stream while that is held back") {
    gated t;
    const session client = t.connect();
    t.door.hold_back_end();
    t.ask_directly("SELECT pg_terminate_backend(" + std::to_string(PQbackendPID(client.get())) + ", 10000)");

    REQUIRE(eventually([&] { return peek(client) == 1; }));
    CHECK(PQconsumeInput(client.get()) == 1);
    CHECK(peek(client) == -1);
    CHECK(t.door.open_connections() == 1);

    t.door.hold_back_end(false);
    CHECK(eventually([&] { return peek(client) == 0; }));
}

TEST_CASE("a commit whose answer is swallowed has happened, and the client cannot know") {
    gated t;
    connection db{t.door.url()};
    transaction tx(db);
    tx.execute("insert into t values (1)");
    t.door.swallow_answer_to("commit");
    CHECK_FALSE(t.door.wait_swallowed(0ms));

    const auto lost = error_of<connection_lost>([&] { tx.commit(); });

    CHECK(lost.outcome_unknown());
    CHECK(t.door.wait_swallowed(10s));
    CHECK(t.door.open_connections() == 0);
    CHECK(t.ask_directly("SELECT count(*) FROM t") == "1");
}

TEST_CASE("a commit at the end of a pipeline is swallowed after it has happened, too") {
    gated t;
    connection db{t.door.url()};
    transaction tx(db);
    t.door.swallow_answer_to("commit");

    const auto lost = error_of<connection_lost>([&] {
        tx.pipeline([](pipeline& p) {
            for (int i = 0; i < 100; ++i)
                p.insert(Number{.n = i});
            p.commit();
        });
    });

    CHECK(lost.outcome_unknown());
    CHECK(t.door.wait_swallowed(10s));
    CHECK(t.ask_directly("SELECT count(*) FROM t") == "100");
}

TEST_CASE("an answer is swallowed after a COPY on the same connection") {
    gated t;
    const session client = t.connect();
    const auto status = [](PGresult* result) {
        const ExecStatusType found = PQresultStatus(result);
        PQclear(result);
        return found;
    };
    REQUIRE(status(PQexecParams(client.get(), "COPY t FROM STDIN", 0, nullptr, nullptr, nullptr, nullptr, 0)) ==
            PGRES_COPY_IN);
    REQUIRE(PQputCopyData(client.get(), "1\n", 2) == 1);
    REQUIRE(PQputCopyEnd(client.get(), nullptr) == 1);
    REQUIRE(status(PQgetResult(client.get())) == PGRES_COMMAND_OK);
    REQUIRE(PQgetResult(client.get()) == nullptr);

    t.door.swallow_answer_to("INSERT");
    CHECK(status(PQexec(client.get(), "INSERT INTO t VALUES (2)")) == PGRES_FATAL_ERROR);

    CHECK(t.door.wait_swallowed(10s));
    CHECK(t.ask_directly("SELECT sum(n) FROM t") == "3");
}

TEST_CASE("only the next message with the text is swallowed, on the connection it comes from") {
    gated t;
    connection first{t.door.url()};
    connection second{t.door.url()};
    t.door.swallow_answer_to("commit");

    transaction tx(first);
    tx.execute("insert into t values (1)");
    CHECK_THROWS_AS(tx.commit(), connection_lost);

    CHECK_NOTHROW(insert_one(second));
}

TEST_CASE("a commit before which the connection is cut has not happened, and the client cannot know") {
    gated t;
    connection db{t.door.url()};
    transaction tx(db);
    tx.execute("insert into t values (1)");
    t.door.cut_before("commit");

    const auto lost = error_of<connection_lost>([&] { tx.commit(); });

    CHECK(lost.outcome_unknown());
    CHECK(eventually([&] {
        return t.ask_directly("SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass AND pid <> pg_backend_pid()"
                              " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())") ==
               "0";
    }));
    CHECK(t.ask_directly("SELECT count(*) FROM t") == "0");
}

TEST_CASE("what came before the message that is cut off is delivered") {
    gated t;
    const session client = t.connect();
    t.door.cut_before("VALUES (3)");
    REQUIRE(PQenterPipelineMode(client.get()) == 1);
    for (const char* sql : {"INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)", "INSERT INTO t VALUES (3)"}) {
        REQUIRE(PQsendQueryParams(client.get(), sql, 0, nullptr, nullptr, nullptr, nullptr, 0) == 1);
        REQUIRE(PQpipelineSync(client.get()) == 1);
    }

    CHECK(eventually([&] { return t.ask_directly("SELECT sum(n) FROM t") == "3"; }));
    CHECK(eventually([&] { return t.door.open_connections() == 0; }));
    CHECK(t.ask_directly("SELECT sum(n) FROM t") == "3");
}

TEST_CASE("an opened gate has forgotten what it waited for") {
    gated t;
    connection db{t.door.url()};
    t.door.cut_before("insert");
    t.door.swallow_answer_to("commit");

    t.door.open();

    CHECK_NOTHROW(insert_one(db));
}

TEST_CASE("the round trips of a transaction are counted") {
    gated t;
    connection db{t.door.url()};
    insert_one(db); // prepares the statement
    t.door.reset_counters();

    insert_one(db); // BEGIN travels with the statement

    CHECK(t.door.round_trips() == 2);
    CHECK(t.door.connections() == 0);
}

TEST_CASE("connections that are being made at once are counted") {
    gated t;
    connection made_before{t.door.url()};
    CHECK(t.door.most_dials_at_once() == 1);

    t.door.black_hole(direction::to_client);
    std::vector<std::future<std::string>> dials;
    for (int i = 0; i < 3; ++i)
        dials.push_back(std::async(std::launch::async, [&] { return ask(t.door.url(), "SELECT 1"); }));
    CHECK(eventually([&] { return t.door.connections() == 4; }));
    t.door.open();
    for (auto& dial : dials)
        CHECK(dial.get() == "1");

    CHECK(t.door.most_dials_at_once() == 3);
    t.door.reset_counters();
    CHECK(t.door.most_dials_at_once() == 0);
}

TEST_CASE("a client that has hung up makes no connection any more, though its server does not know") {
    gated t;
    t.door.reset_counters();
    t.door.black_hole(direction::to_server);
    for (std::uint64_t i = 1; i <= 3; ++i) {
        const session client{PQconnectStart(t.door.url().c_str()), PQfinish};
        REQUIRE(PQsocket(client.get()) >= 0);
        REQUIRE(eventually([&] {
            (void)PQconnectPoll(client.get());
            return t.door.connections() == i;
        }));
    }

    CHECK(t.door.open_connections() == 3);
    CHECK(t.door.most_dials_at_once() == 1);
}

TEST_CASE("a cancellation passes a gate, and is counted") {
    const gated t;
    const long_statement statement{t};

    CHECK(cancel(statement.client).get());

    CHECK(statement.was_cancelled());
    CHECK(t.door.cancels() == 1);
    CHECK(t.door.cancels_passed() == 1);
}

TEST_CASE("a cancel request that is held reaches its statement when it is released, and its client waits so long") {
    gated t;
    const long_statement statement{t};
    t.door.hold_cancels();

    auto request = cancel(statement.client);
    REQUIRE(eventually([&] { return t.door.cancels() == 1; }));
    CHECK(t.door.cancels_passed() == 0);
    CHECK(statement.runs());
    CHECK_FALSE(is_over(request));

    t.door.release_cancels();
    CHECK(request.get());
    CHECK(statement.was_cancelled());
    CHECK(t.door.cancels_passed() == 1);
}

TEST_CASE("statements and new connections pass while cancel requests are held") {
    gated t;
    connection db{t.door.url()};
    const long_statement statement{t};
    t.door.hold_cancels();
    auto request = cancel(statement.client);
    REQUIRE(eventually([&] { return t.door.cancels() == 1; }));

    insert_one(db);
    connection another{t.door.url()};
    insert_one(another);

    CHECK(t.ask_directly("SELECT count(*) FROM t") == "2");
    CHECK(statement.runs());
    t.door.open(); // ends it as release_cancels() does
    CHECK(request.get());
    CHECK(statement.was_cancelled());
}

TEST_CASE("after a release the next cancel request passes at once") {
    gated t;
    const long_statement statement{t};
    t.door.hold_cancels();
    t.door.release_cancels();

    CHECK(cancel(statement.client).get());
    CHECK(statement.was_cancelled());
}

TEST_CASE("a held cancel request is delivered although its client has hung up") {
    const listening_place server;
    gate door{server.url};
    door.hold_cancels();
    {
        const raw_socket client = connect_to(door.port());
        client.send(cancel_request(1));
        REQUIRE(eventually([&] { return door.cancels() == 1; }));
    }
    CHECK(server.next().receive_all().empty()); // the place that it had at the server was given back

    door.release_cancels();
    CHECK(server.next().receive_all() == cancel_request(1));
    CHECK(eventually([&] { return door.open_connections() == 0; }));
}

TEST_CASE("held cancel requests are delivered in the order they came, not that of their connections") {
    const listening_place server;
    gate door{server.url};
    door.hold_cancels();
    std::vector<raw_socket> clients;
    for (int i = 0; i < 3; ++i)
        clients.push_back(connect_to(door.port()));
    REQUIRE(eventually([&] { return door.open_connections() == 3; }));
    for (const std::size_t i : {2U, 0U, 1U}) {
        const std::uint64_t before = door.cancels();
        clients[i].send(cancel_request(static_cast<char>(i)));
        REQUIRE(eventually([&] { return door.cancels() == before + 1; }));
    }
    for (int i = 0; i < 3; ++i)
        CHECK(server.next().receive_all().empty());
    clients.clear();

    door.release_cancels();
    for (const char key : {'\2', '\0', '\1'})
        CHECK(server.next().receive_all() == cancel_request(key));
}

TEST_CASE("a cancel request that comes in pieces is held, too") {
    const listening_place server;
    gate door{server.url};
    door.hold_cancels();
    const std::string request = cancel_request(1);
    {
        const raw_socket client = connect_to(door.port());
        for (const char byte : request) {
            CHECK(door.cancels() == 0);
            client.send({&byte, 1});
        }
        REQUIRE(eventually([&] { return door.cancels() == 1; }));
    }
    CHECK(server.next().receive_all().empty());

    door.release_cancels();
    CHECK(server.next().receive_all() == request);
}

TEST_CASE("a delay of cancel requests delays nothing else") {
    gated t;
    const long_statement statement{t};
    t.door.delay_cancels(1h);

    auto request = cancel(statement.client);
    REQUIRE(eventually([&] { return t.door.cancels() == 1; }));
    connection db{t.door.url()};
    insert_one(db);
    CHECK(t.door.cancels_passed() == 0);
    CHECK(statement.runs());

    t.door.open();
    CHECK(request.get());
    CHECK(statement.was_cancelled());
}

TEST_CASE("a cancel request is delivered when its delay is over, and not before") {
    gated t;
    const long_statement statement{t};
    t.door.delay_cancels(50ms);

    const auto start = std::chrono::steady_clock::now();
    CHECK(cancel(statement.client).get());
    CHECK(std::chrono::steady_clock::now() - start >= 50ms);
    CHECK(statement.was_cancelled());
}

TEST_CASE("a cancel request that is swallowed is never delivered, and its client waits for ever") {
    gated t;
    const long_statement statement{t};
    t.door.swallow_cancels();
    auto lost = cancel(statement.client);
    REQUIRE(eventually([&] { return t.door.cancels() == 1; }));

    t.door.open();
    const long_statement another{t};
    CHECK(cancel(another.client).get());
    CHECK(another.was_cancelled());
    CHECK(t.door.cancels_passed() == 1);
    CHECK(statement.runs());
    CHECK_FALSE(is_over(lost));

    t.door.cut();
    CHECK(eventually([&] { return is_over(lost); }));
    t.door.reset_counters();
    CHECK(t.door.cancels() == 0);
    CHECK(t.door.cancels_passed() == 0);
}

TEST_CASE("a swallowed cancel request leaves the gate with its client") {
    const listening_place server;
    gate door{server.url};
    door.swallow_cancels();
    {
        const raw_socket client = connect_to(door.port());
        client.send(cancel_request(1));
        REQUIRE(eventually([&] { return door.cancels() == 1; }));
        CHECK(door.open_connections() == 1);
    }
    CHECK(eventually([&] { return door.open_connections() == 0; }));
    CHECK(server.next().receive_all().empty());
}

TEST_CASE("a gate may be used by many threads while connections come and go") {
    gated t;
    std::vector<std::future<void>> clients;
    for (int i = 0; i < 4; ++i)
        clients.push_back(std::async(std::launch::async, [&] {
            for (int round = 0; round < 20; ++round) {
                try {
                    connection db{t.door.url()};
                    insert_one(db);
                } catch (const error&) { // cut off
                }
            }
        }));
    auto faults = std::async(std::launch::async, [&] {
        for (int round = 0; round < 20; ++round) {
            t.door.delay(1ms);
            t.door.cut();
            t.door.black_hole();
            t.door.open();
        }
    });

    for (auto& client : clients)
        client.get();
    faults.get();
    CHECK(t.door.connections() == 80);
    CHECK(eventually([&] { return t.door.open_connections() == 0; }));
}

TEST_CASE("a gate that goes takes its connections along") {
    const testing::test_database database;
    auto door = std::make_unique<gate>(database.url());
    connection db{door->url()};
    transaction tx(db);
    tx.execute("select 1");

    door.reset();

    CHECK_THROWS_AS(tx.execute("select 1"), connection_lost);
}

TEST_CASE("a gate leaves no file open") {
    const testing::test_database database;
    const std::size_t before = open_files();
    {
        gate door{database.url()};
        const connection db{door.url()};
        door.black_hole();
        CHECK_THROWS_AS((connection{door.url(), {.connect_timeout = 20ms}}), connection_failed);
        CHECK(open_files() > before);
    }
    CHECK(open_files() == before);
}
