// Hand-written libpq: prepared once, binary both ways, columns by number, no copy that could be left out. What an
// expert writes for exactly this table, and the measure of all other contenders.
#pragma once

#include <libpq-fe.h>

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "dataset.hpp"

namespace bench {

class raw_libpq {
public:
    static constexpr const char* label = "libpq";

    explicit raw_libpq(const std::string& url) : connection_(PQconnectdb(url.c_str())) {
        if (PQstatus(connection_.get()) != CONNECTION_OK)
            throw std::runtime_error(PQerrorMessage(connection_.get()));
        PQsetNoticeProcessor(connection_.get(), [](void*, const char*) {}, nullptr);
        command("set timezone to 'UTC'");
    }

    /// Before any other statement of the comparison.
    void prepare() {
        const std::array<Oid, 9> types{2950, 25, 25, 16, 701, 23, 1184, 1184, 3802};
        const Oid bigint = 20;
        const Oid bigints = 1016;
        prepare("insert", sql::insert, types);
        prepare("find", sql::find, {&bigint, 1});
        prepare("list", sql::list, {&bigint, 1});
        prepare("find_many", sql::find_many, {&bigints, 1});
    }

    [[nodiscard]] int backend_pid() const { return PQbackendPID(connection_.get()); }
    /// Whether the server runs here, so that its process may be moved to another core.
    [[nodiscard]] bool is_local() const { return PQhost(connection_.get())[0] == '/'; }

    void command(const std::string& text) { expect(PQexec(connection_.get(), text.c_str()), PGRES_COMMAND_OK); }
    void begin() { command("begin"); }
    void commit() { command("commit"); }

    item find(std::int64_t id) {
        const rows_ptr rows = execute_by_number("find", id);
        if (PQntuples(rows.get()) != 1)
            throw std::runtime_error("no such row");
        return read<item>(rows.get(), 0);
    }

    std::vector<item> list(std::int64_t last) { return all<item>(execute_by_number("list", last).get()); }

    template <class Use>
    void each(std::int64_t last, Use use) { // libpq's buffered way: the whole result first, then row by row
        const rows_ptr rows = execute_by_number("list", last);
        const int size = PQntuples(rows.get());
        for (int row = 0; row < size; ++row)
            use(read<item>(rows.get(), row));
    }

    /// The same in single-row mode.
    template <class Use>
    void each_single(std::int64_t last, Use use) {
        number parameter(last);
        if (PQsendQueryPrepared(connection_.get(), "list", 1, &parameter.data, &parameter.size, &parameter.format, 1) !=
                1 ||
            PQsetSingleRowMode(connection_.get()) != 1)
            fail();
        while (PGresult* const next = PQgetResult(connection_.get())) {
            const rows_ptr rows(next);
            if (PQresultStatus(next) == PGRES_SINGLE_TUPLE)
                use(read<item>(next, 0));
            else if (PQresultStatus(next) != PGRES_TUPLES_OK)
                fail();
        }
    }

    /// By a cursor, in pipeline mode: the server makes the next block while this one is decoded.
    template <class Use>
    void each_by_cursor(std::int64_t last, Use use) {
        constexpr int block = 1000;
        const auto send = [this](const std::string& text, const number* parameter) {
            const int size = 8;
            const int format = 1;
            const Oid bigint = 20;
            if (PQsendQueryParams(connection_.get(), text.c_str(), parameter != nullptr ? 1 : 0, &bigint,
                                  parameter != nullptr ? &parameter->data : nullptr, &size, &format, 1) != 1)
                fail();
        };
        const auto take = [this](ExecStatusType status) {
            rows_ptr rows = expect(PQgetResult(connection_.get()), status);
            if (PQgetResult(connection_.get()) != nullptr)
                fail();
            return rows;
        };
        const std::string fetch = "fetch " + std::to_string(block) + " from bench_rows";
        const number parameter(last);
        if (PQenterPipelineMode(connection_.get()) != 1)
            fail();
        send("set local cursor_tuple_fraction = 1", nullptr);
        send(std::string("declare bench_rows no scroll cursor for ") + sql::list, &parameter);
        send(fetch, nullptr);
        send(fetch, nullptr);
        if (PQsendFlushRequest(connection_.get()) != 1 || PQflush(connection_.get()) != 0)
            fail();
        (void)take(PGRES_COMMAND_OK);
        (void)take(PGRES_COMMAND_OK);
        for (int size = block; size == block;) {
            const rows_ptr rows = take(PGRES_TUPLES_OK);
            size = PQntuples(rows.get());
            if (size == block) {
                send(fetch, nullptr);
                if (PQsendFlushRequest(connection_.get()) != 1 || PQflush(connection_.get()) != 0)
                    fail();
            }
            for (int row = 0; row < size; ++row)
                use(read<item>(rows.get(), row));
        }
        send("close bench_rows", nullptr);
        if (PQpipelineSync(connection_.get()) != 1)
            fail();
        (void)take(PGRES_TUPLES_OK); // the block that was asked for in advance
        (void)take(PGRES_COMMAND_OK);
        expect(PQgetResult(connection_.get()), PGRES_PIPELINE_SYNC);
        if (PQexitPipelineMode(connection_.get()) != 1)
            fail();
    }

    written insert(const written& row) {
        insert_values values(row, json_);
        const rows_ptr rows = expect(PQexecPrepared(connection_.get(), "insert", 9, values.data.data(),
                                                    values.sizes.data(), insert_values::formats.data(), 1),
                                     PGRES_TUPLES_OK);
        return read<written>(rows.get(), 0);
    }

    std::vector<written> insert_pipelined(std::span<const written> rows) {
        return in_pipeline<written>(rows.size(), [&](std::size_t i) {
            insert_values values(rows[i], json_);
            return PQsendQueryPrepared(connection_.get(), "insert", 9, values.data.data(), values.sizes.data(),
                                       insert_values::formats.data(), 1);
        });
    }

    std::vector<item> find_pipelined(std::span<const std::int64_t> ids) {
        return in_pipeline<item>(ids.size(), [&](std::size_t i) {
            number parameter(ids[i]);
            return PQsendQueryPrepared(connection_.get(), "find", 1, &parameter.data, &parameter.size,
                                       &parameter.format, 1);
        });
    }

    std::vector<item> find_many(std::span<const std::int64_t> ids) {
        std::vector<char> array;
        array.reserve(20 + ids.size() * 12);
        for (const std::int32_t word : {1, 0, 20, static_cast<std::int32_t>(ids.size()), 1})
            put(array, word);
        for (const std::int64_t id : ids) {
            put(array, std::int32_t{8});
            put(array, id);
        }
        const char* const data = array.data();
        const int size = static_cast<int>(array.size());
        const int format = 1;
        return all<item>(
            expect(PQexecPrepared(connection_.get(), "find_many", 1, &data, &size, &format, 1), PGRES_TUPLES_OK).get());
    }

    void copy_in(std::span<const written> rows) {
        expect(PQexec(connection_.get(), sql::copy_in), PGRES_COPY_IN);
        std::vector<char> chunk(size_t{96} * 1024);
        constexpr std::size_t full = std::size_t{64} * 1024;
        constexpr std::array<char, 19> header{'P', 'G', 'C', 'O', 'P', 'Y', '\n', '\377', '\r', '\n'};
        char* at = append(chunk.data(), header.data(), header.size());
        for (const written& row : rows) {
            const std::size_t most = 200 + row.name.size() + row.note.size() + row.details.text.size();
            if (static_cast<std::size_t>(at - chunk.data()) + most > chunk.size()) {
                send(chunk.data(), at);
                at = chunk.data();
                if (most > chunk.size())
                    chunk.resize(most), at = chunk.data();
            }
            at = store(at, std::int16_t{9});
            at = append(store(at, std::int32_t{16}), row.token.bytes.data(), 16);
            at = append(store(at, static_cast<std::int32_t>(row.name.size())), row.name.data(), row.name.size());
            at = append(store(at, static_cast<std::int32_t>(row.note.size())), row.note.data(), row.note.size());
            at = store(store(at, std::int32_t{1}), static_cast<std::int8_t>(row.active));
            at = store(store(at, std::int32_t{8}), std::bit_cast<std::int64_t>(row.score));
            at = store(store(at, std::int32_t{4}), row.amount);
            at = store(store(at, std::int32_t{8}), since_2000(row.created_at));
            if (row.closed_at)
                at = store(store(at, std::int32_t{8}), since_2000(*row.closed_at));
            else
                at = store(at, std::int32_t{-1});
            const std::string& json = row.details.text;
            at = store(store(at, static_cast<std::int32_t>(json.size() + 1)), std::int8_t{1});
            at = append(at, json.data(), json.size());
            if (static_cast<std::size_t>(at - chunk.data()) >= full) {
                send(chunk.data(), at);
                at = chunk.data();
            }
        }
        at = store(at, std::int16_t{-1});
        send(chunk.data(), at);
        if (PQputCopyEnd(connection_.get(), nullptr) != 1)
            fail();
        expect(PQgetResult(connection_.get()), PGRES_COMMAND_OK);
        while (PGresult* const rest = PQgetResult(connection_.get()))
            PQclear(rest);
    }

    /// What the table that contenders write to holds now.
    std::vector<written> stored() {
        const rows_ptr rows = expect(PQexecParams(connection_.get(), "select * from tenon_bench.written order by id", 0,
                                                  nullptr, nullptr, nullptr, nullptr, 1),
                                     PGRES_TUPLES_OK);
        return all<written>(rows.get());
    }

private:
    struct finish {
        void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
    };
    struct clear {
        void operator()(PGresult* rows) const noexcept { PQclear(rows); }
    };
    using rows_ptr = std::unique_ptr<PGresult, clear>;

    static constexpr std::int64_t microseconds_to_2000 = 946'684'800'000'000;

    template <class T>
    static T swapped(T value) noexcept {
        if constexpr (sizeof(T) == 8)
            return static_cast<T>(__builtin_bswap64(static_cast<std::uint64_t>(value)));
        else if constexpr (sizeof(T) == 4)
            return static_cast<T>(__builtin_bswap32(static_cast<std::uint32_t>(value)));
        else if constexpr (sizeof(T) == 2)
            return static_cast<T>(__builtin_bswap16(static_cast<std::uint16_t>(value)));
        else
            return value;
    }
    template <class T>
    static T load(const char* from) noexcept {
        T value;
        std::memcpy(&value, from, sizeof value);
        return swapped(value);
    }
    template <class T>
    static char* store(char* at, T value) noexcept {
        value = swapped(value);
        std::memcpy(at, &value, sizeof value);
        return at + sizeof value;
    }
    static char* append(char* at, const void* from, std::size_t size) noexcept {
        std::memcpy(at, from, size);
        return at + size;
    }
    template <class T>
    static void put(std::vector<char>& out, T value) {
        value = swapped(value);
        const auto* const bytes = reinterpret_cast<const char*>(&value);
        out.insert(out.end(), bytes, bytes + sizeof value);
    }
    static std::int64_t since_2000(tenon::timestamp time) noexcept {
        return time.time_since_epoch().count() - microseconds_to_2000;
    }

    struct number {
        explicit number(std::int64_t value) noexcept : bytes(swapped(value)) {}
        std::int64_t bytes;
        const char* data = reinterpret_cast<const char*>(&bytes);
        int size = 8;
        int format = 1;
    };

    struct insert_values {
        static constexpr std::array<int, 9> formats{1, 1, 1, 1, 1, 1, 1, 1, 1};

        insert_values(const written& row, std::string& json)
            : active(row.active ? 1 : 0),
              score(swapped(std::bit_cast<std::int64_t>(row.score))),
              amount(swapped(row.amount)),
              created_at(swapped(since_2000(row.created_at))),
              closed_at(row.closed_at ? swapped(since_2000(*row.closed_at)) : 0) {
            json.assign(1, '\1').append(row.details.text);
            data = {reinterpret_cast<const char*>(row.token.bytes.data()),
                    row.name.c_str(),
                    row.note.c_str(),
                    &active,
                    reinterpret_cast<const char*>(&score),
                    reinterpret_cast<const char*>(&amount),
                    reinterpret_cast<const char*>(&created_at),
                    row.closed_at ? reinterpret_cast<const char*>(&closed_at) : nullptr,
                    json.data()};
            sizes = {16, static_cast<int>(row.name.size()), static_cast<int>(row.note.size()), 1, 8, 4, 8,
                     8,  static_cast<int>(json.size())};
        }
        char active;
        std::int64_t score;
        std::int32_t amount;
        std::int64_t created_at;
        std::int64_t closed_at;
        std::array<const char*, 9> data;
        std::array<int, 9> sizes;
    };

    template <class Row>
    static Row read(const PGresult* rows, int row) {
        const auto text = [&](int column, int skip) {
            return std::string(PQgetvalue(rows, row, column) + skip,
                               static_cast<std::size_t>(PQgetlength(rows, row, column) - skip));
        };
        const auto time = [&](int column) {
            return tenon::timestamp{
                std::chrono::microseconds{load<std::int64_t>(PQgetvalue(rows, row, column)) + microseconds_to_2000}};
        };
        Row read{.id = load<std::int64_t>(PQgetvalue(rows, row, 0)),
                 .name = text(2, 0),
                 .note = text(3, 0),
                 .active = *PQgetvalue(rows, row, 4) != 0,
                 .score = std::bit_cast<double>(load<std::int64_t>(PQgetvalue(rows, row, 5))),
                 .amount = load<std::int32_t>(PQgetvalue(rows, row, 6)),
                 .created_at = time(7),
                 .details = {text(9, 1)}};
        std::memcpy(read.token.bytes.data(), PQgetvalue(rows, row, 1), 16);
        if (PQgetisnull(rows, row, 8) == 0)
            read.closed_at = time(8);
        return read;
    }

    template <class Row>
    static std::vector<Row> all(const PGresult* rows) {
        const int size = PQntuples(rows);
        std::vector<Row> list;
        list.reserve(static_cast<std::size_t>(size));
        for (int row = 0; row < size; ++row)
            list.push_back(read<Row>(rows, row));
        return list;
    }

    template <class Row, class Send>
    std::vector<Row> in_pipeline(std::size_t count, Send send_one) {
        if (PQenterPipelineMode(connection_.get()) != 1)
            fail();
        for (std::size_t i = 0; i < count; ++i)
            if (send_one(i) != 1)
                fail();
        if (PQpipelineSync(connection_.get()) != 1)
            fail();
        std::vector<Row> list;
        list.reserve(count);
        for (std::size_t i = 0; i < count; ++i) {
            const rows_ptr rows = expect(PQgetResult(connection_.get()), PGRES_TUPLES_OK);
            list.push_back(read<Row>(rows.get(), 0));
            if (PQgetResult(connection_.get()) != nullptr) // the end of this statement's results
                fail();
        }
        expect(PQgetResult(connection_.get()), PGRES_PIPELINE_SYNC);
        if (PQexitPipelineMode(connection_.get()) != 1)
            fail();
        return list;
    }

    rows_ptr execute_by_number(const char* statement, std::int64_t value) {
        number parameter(value);
        return expect(
            PQexecPrepared(connection_.get(), statement, 1, &parameter.data, &parameter.size, &parameter.format, 1),
            PGRES_TUPLES_OK);
    }

    void prepare(const char* statement, const char* text, std::span<const Oid> types) {
        expect(PQprepare(connection_.get(), statement, text, static_cast<int>(types.size()), types.data()),
               PGRES_COMMAND_OK);
    }

    void send(const char* from, const char* to) {
        if (PQputCopyData(connection_.get(), from, static_cast<int>(to - from)) != 1)
            fail();
    }

    rows_ptr expect(PGresult* rows, ExecStatusType status) {
        rows_ptr owned(rows);
        if (PQresultStatus(rows) != status)
            fail();
        return owned;
    }
    [[noreturn]] void fail() { throw std::runtime_error(std::string("libpq: ") + PQerrorMessage(connection_.get())); }

    std::unique_ptr<PGconn, finish> connection_;
    std::string json_;
};

} // namespace bench
