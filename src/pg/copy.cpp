// COPY in both directions, and rows one by one: what occupies a session over several calls.
#include <poll.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include <tenon/pg/copy_in.hpp>
#include <tenon/pg/row_source.hpp>
#include <tenon/pg/transaction.hpp>

#include "session.hpp"
#include "session_access.hpp"

namespace tenon {

namespace {

// Signature, flags and the length of an empty header extension (manual, COPY, "Binary Format").
constexpr std::string_view copy_header("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);

// A cursor's blocks, one behind the other.
class fetched_rows final : public row_source {
public:
    fetched_rows(detail::session& on, const statement& what, parameters& values)
        : session_(on), context_(detail::session::context_of(what)) {
        session_.open_cursor(what, values);
    }
    ~fetched_rows() override {
        if (occupies_)
            session_.stop_rows();
    }

    bool next(std::span<wire_value> values) override {
        if (row_ == block_.size() && !fetch())
            return false;
        block_.row(row_++, values);
        return true;
    }

private:
    bool fetch() {
        if (!occupies_)
            return false;
        row_ = 0;
        block_ = {};
        try {
            more_ = more_ && session_.next_block(block_, context_);
        } catch (const std::exception&) {
            occupies_ = false;
            throw;
        }
        if (block_.empty()) { // the session is free only now, so that short streams and long ones are alike
            session_.stop_rows();
            occupies_ = false;
        }
        return !block_.empty();
    }

    detail::session& session_;
    detail::statement_context context_;
    result block_;
    std::size_t row_ = 0;
    bool more_ = true;
    bool occupies_ = true;
};

class copied_rows final : public row_source {
public:
    copied_rows(detail::session& on, const statement& what)
        : session_(on), context_(detail::session::context_of(what)) {
        session_.start_copy_out(what);
    }
    ~copied_rows() override {
        if (!ended_)
            session_.stop_rows();
    }

    bool next(std::span<wire_value> values) override {
        if (ended_)
            return false;
        try {
            message_ = session_.next_copy_message(context_);
        } catch (const std::exception&) {
            ended_ = true;
            throw;
        }
        const char* at = message_.bytes.get();
        const char* const end = at + message_.size;
        if (first_ && at != nullptr) {
            if (end - at < 19 || std::memcmp(at, copy_header.data(), 11) != 0)
                detail::throw_decode_error("the server's COPY does not begin with the binary signature");
            const auto extension = detail::load<std::int32_t>(at + 15);
            if (extension < 0 || extension > end - at - 19)
                detail::throw_decode_error("the header of the server's COPY is malformed");
            at += 19 + extension;
            first_ = false;
            if (at == end)
                return next(values);
        }
        if (at == nullptr) { // the end of the COPY, behind its trailer
            ended_ = true;
            return false;
        }
        if (end - at < 2)
            detail::throw_decode_error("a row of the server's COPY ends early");
        const auto fields = detail::load<std::int16_t>(at);
        at += 2;
        if (fields == -1) // trailer
            return next(values);
        if (static_cast<std::size_t>(fields) != values.size())
            detail::throw_decode_error("a row of the server's COPY has another number of fields");
        for (wire_value& value : values) {
            if (end - at < 4)
                detail::throw_decode_error("a row of the server's COPY ends early");
            const auto size = detail::load<std::int32_t>(at);
            at += 4;
            if (size < -1 || size > end - at)
                detail::throw_decode_error("a row of the server's COPY ends early");
            value = size < 0 ? wire_value{} : wire_value{at, size};
            at += size < 0 ? 0 : size;
        }
        return true;
    }

private:
    detail::session& session_;
    detail::statement_context context_;
    detail::copy_message message_;
    bool first_ = true;
    bool ended_ = false;
};

} // namespace

std::unique_ptr<row_source> open_rows(transaction& tx, const statement& what, parameters& values) {
    return std::make_unique<fetched_rows>(session_access::of(tx), what, values);
}

std::unique_ptr<row_source> open_copy_out(transaction& tx, const statement& what) {
    return std::make_unique<copied_rows>(session_access::of(tx), what);
}

copy_in::copy_in(transaction& tx, const statement& what, std::span<const std::size_t> fields)
    : session_(&session_access::of(tx)),
      what_(what),
      fields_(fields.begin(), fields.end()),
      types_(session_->start_copy_in(what, fields)) {
    rows_.append(copy_header);
}

copy_in::~copy_in() {
    if (session_ != nullptr)
        session_->abort_copy_in();
}

void copy_in::flush() {
    session_->put_copy(rows_.bytes());
    rows_.clear();
}

std::uint64_t copy_in::finish() {
    rows_.put(std::int16_t{-1});
    flush();
    return std::exchange(session_, nullptr)->end_copy_in(detail::session::context_of(what_));
}

namespace detail {

// A stream is a cursor whose rows are fetched in blocks, two of them under way: the server makes the next one while
// this one is read. All of it travels in pipeline mode, so that opening costs no round trip of its own.
// Source: manual, DECLARE and "Pipeline Mode"; PQsendFlushRequest makes the server answer before the sync point.

namespace {

constexpr int first_block = 32; // until the size of a row is known
constexpr int largest_block = 4000;
constexpr std::size_t block_bytes = 1 << 20;
constexpr std::size_t blocks_under_way = 2;
constexpr auto patience = std::chrono::milliseconds(50); // for blocks under way when a stream is left

} // namespace

void session::fetch_block(int rows) {
    const std::string fetch = "fetch " + std::to_string(rows) + " from tenon_stream";
    if (PQsendQueryParams(connection_, fetch.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 1) != 1 ||
        PQsendFlushRequest(connection_) != 1)
        fail_lost({.operation = "fetch"});
    blocks_.push_back(rows);
}

void session::open_cursor(const statement& what, parameters& values) {
    take_over();
    prepared* ready = find_prepared(what);
    if (ready == nullptr)
        ready = &prepare(what);
    const statement_context context = context_of(what);
    const std::string declare = "declare tenon_stream no scroll cursor for " + std::string(what.sql);
    refuse_nul(declare);
    blocks_.clear();
    bulk_rows_ = 0;
    bulk_since_ = options_.observer ? clock::now() : clock::time_point{};
    if (begin_is_not_alone())
        begin_now();
    enter_pipeline();
    occupied_ = occupation::rows;
    opening_begins_ = send_begin();
    pending_begin_ = {};
    opening_ = true;
    for (const char* const step : {stream_savepoint, plan_for_all_rows})
        if (PQsendQueryParams(connection_, step, 0, nullptr, nullptr, nullptr, nullptr, 0) != 1)
            fail_lost(context);
    if (!send_with(declare, *ready, values))
        fail_lost(context);
    for (std::size_t i = 0; i < blocks_under_way; ++i)
        fetch_block(first_block);
    flush(context);
}

bool session::next_block(result& block, const statement_context& context) {
    try {
        if (std::exchange(opening_, false)) {
            if (opening_begins_)
                (void)take_answer({.sql = "begin", .operation = "begin"});
            (void)take_answer(context);
            const pg_result_ptr setting = take_answer(context);
            cursor_fraction_ = PQgetvalue(setting.get(), 0, 0);
            (void)take_answer(context);
        }
        pg_result_ptr rows = take_answer(context);
        const int asked = blocks_.front();
        blocks_.pop_front();
        const int count = PQntuples(rows.get());
        bulk_rows_ += static_cast<std::uint64_t>(count);
        const bool more = count == asked;
        if (more) {
            const std::size_t row_bytes = PQresultMemorySize(rows.get()) / static_cast<std::size_t>(count) + 1;
            fetch_block(static_cast<int>(std::clamp<std::size_t>(block_bytes / row_bytes, 1, largest_block)));
            flush(context);
        }
        block = result(rows.release());
        if (!more)
            close_cursor(context);
        return more;
    } catch (const connection_lost&) {
        occupied_ = occupation::none;
        throw;
    } catch (const error& failure) {
        occupied_ = occupation::none;
        tell_statement(context, bulk_since_, bulk_rows_, &failure);
        if (PQpipelineSync(connection_) != 1)
            fail_lost(context);
        flush(context);
        leave_pipeline(context);
        throw;
    }
}

// Behind the last row: takes the answers of the blocks that were asked for in advance, and ends everything.
void session::close_cursor(const statement_context& context) {
    const char* const fraction = cursor_fraction_.c_str();
    if (PQsendQueryParams(connection_, "close tenon_stream", 0, nullptr, nullptr, nullptr, nullptr, 0) != 1 ||
        PQsendQueryParams(connection_, restore_planning, 1, nullptr, &fraction, nullptr, nullptr, 0) != 1 ||
        PQsendQueryParams(connection_, release_stream_savepoint, 0, nullptr, nullptr, nullptr, nullptr, 0) != 1 ||
        PQpipelineSync(connection_) != 1)
        fail_lost(context);
    flush(context);
    constexpr std::size_t closing_statements = 3;
    for (std::size_t left = blocks_.size() + closing_statements; left > 0; --left)
        (void)take_answer(context);
    blocks_.clear();
    leave_pipeline(context);
    tell_statement(context, bulk_since_, bulk_rows_, nullptr);
}

void session::stop_rows() noexcept {
    if (!is_open())
        return;
    if (occupied_ == occupation::rows && PQpipelineStatus(connection_) == PQ_PIPELINE_OFF) { // all is read
        occupied_ = occupation::none;
        return;
    }
    const statement_context context{.operation = "rest of a stream"};
    const auto limit = statement_deadline_;
    try {
        if (occupied_ == occupation::copy_out)
            stop_copy_out(context);
        else {
            // What is under way is soon here, or cancelled.
            statement_deadline_ = clock::now() + patience;
            if (PQpipelineSync(connection_) != 1)
                fail_lost(context);
            flush(context);
            leave_pipeline(context);
        }
        occupied_ = occupation::none;
        cancelled_ = false;
        // Whether a cancellation came in time or not: the transaction is as it was before the stream.
        statement_deadline_ = clock::time_point::max();
        (void)run_script(undo_stream_savepoint);
        statement_deadline_ = limit;
    } catch (const std::exception& failure) {
        lost_ = true;
        lost_reason_ = std::string("a stream could not be ended: ") + failure.what();
    }
}

void session::stop_copy_out(const statement_context& context) {
    cancel();
    statement_deadline_ = clock::time_point::max();
    auto until = clock::now() + cancel_grace;
    while (const pg_result_ptr rest = next_result(until, context))
        if (PQresultStatus(rest.get()) == PGRES_COPY_OUT)
            for (char* bytes = nullptr; PQgetCopyData(connection_, &bytes, 0) > 0;)
                PQfreemem(bytes);
}

// On a thread of its own: PQcancel connects without a time limit, and a network that swallows everything would hold the
// caller, whose own wait has one. The thread owns all it uses.
void session::cancel() noexcept {
    PGcancel* const handle = PQgetCancel(connection_);
    if (handle == nullptr)
        return;
    const auto send = [handle] {
        char reason[256]; // NOLINT(modernize-avoid-c-arrays): what PQcancel asks for
        (void)PQcancel(handle, reason, sizeof reason);
        PQfreeCancel(handle);
    };
    try {
        std::thread(send).detach();
    } catch (const std::exception&) { // no thread to be had
        send();
    }
}

void session::require_same_types(const statement& what, std::span<const std::size_t> fields,
                                 std::vector<const server_type*>* trees) {
    const std::vector<oid>& types = check_record(*what.record);
    std::string report;
    for (const std::size_t field : fields) {
        const column_shape& column = what.record->columns[field];
        const oid type = types[field];
        if (!types_.same_form(*this, *column.value, type))
            report += "\n  " + std::string(what.record->record) + "::" + std::string(column.field) + " (" +
                      std::string(column.value->type.name) + "): column " + std::string(column.column) + " is " +
                      types_.describe(*this, type);
        if (trees != nullptr)
            trees->push_back(types_.own_oids(*this, *column.value, type));
    }
    if (!report.empty())
        throw schema_mismatch(
            describe(context_of(what)) +
                ": COPY converts nothing, so these fields need exactly their column's type; change them "
                "or use insert_many:" +
                report,
            {.sqlstate = "42804", .statement = std::string(what.sql)});
}

std::vector<const server_type*> session::start_copy_in(const statement& what, std::span<const std::size_t> fields) {
    take_over();
    std::vector<const server_type*> trees;
    require_same_types(what, fields, &trees);
    start_copy(what, PGRES_COPY_IN);
    occupied_ = occupation::copy_in;
    return trees;
}

void session::start_copy_out(const statement& what) {
    take_over();
    std::vector<std::size_t> fields(what.record->columns.size());
    for (std::size_t i = 0; i < fields.size(); ++i)
        fields[i] = i;
    require_same_types(what, fields, nullptr);
    (void)run_script(stream_savepoint);
    start_copy(what, PGRES_COPY_OUT);
    occupied_ = occupation::copy_out;
}

void session::start_copy(const statement& what, ExecStatusType expected) {
    const statement_context context = context_of(what);
    bulk_since_ = options_.observer ? clock::now() : clock::time_point{};
    std::string text;
    if (begin_is_not_alone())
        begin_now();
    if (!pending_begin_.empty())
        text.append(pending_begin_).append(";");
    text.append(what.sql);
    pending_begin_ = {};
    if (PQsendQuery(connection_, text.c_str()) != 1)
        fail_lost(context);
    flush(context);
    auto until = deadline();
    while (const pg_result_ptr next = next_result(until, context)) {
        if (PQresultStatus(next.get()) == expected)
            return;
        if (PQresultStatus(next.get()) == PGRES_FATAL_ERROR) {
            while (next_result(until, context)) {
            }
            throw_failure(next.get(), context);
        }
    }
    fail_lost(context);
}

void session::put_copy(std::string_view bytes) {
    constexpr statement_context context{.operation = "copy into"};
    auto until = deadline();
    for (;;) {
        const int queued = PQputCopyData(connection_, bytes.data(), static_cast<int>(bytes.size()));
        if (queued == 1)
            break;
        if (queued < 0)
            fail_lost(context);
        wait(POLLIN | POLLOUT, until, context);
        if (PQconsumeInput(connection_) != 1 || PQflush(connection_) < 0)
            fail_lost(context);
    }
    // Keep what is queued small: the server takes it at its own pace.
    while (PQflush(connection_) == 1)
        wait(POLLOUT, until, context);
}

std::uint64_t session::end_copy_in(const statement_context& context) {
    occupied_ = occupation::none;
    if (PQputCopyEnd(connection_, nullptr) != 1)
        fail_lost(context);
    return take_told(context, bulk_since_).affected();
}

void session::abort_copy_in() noexcept {
    occupied_ = occupation::none;
    if (!is_open())
        return;
    try {
        (void)PQputCopyEnd(connection_, "broken off by the client");
        (void)take_answer({.operation = "copy into"});
    } catch (const std::exception&) { // as meant: the transaction has failed, or the session is lost
        return;
    }
}

copy_message session::next_copy_message(const statement_context& context) {
    auto until = deadline();
    for (;;) {
        char* bytes = nullptr;
        const int size = PQgetCopyData(connection_, &bytes, 1);
        if (size > 0)
            return {std::unique_ptr<char, pq_free>(bytes), size};
        if (size == 0) {
            wait(POLLIN, until, context);
            if (PQconsumeInput(connection_) != 1)
                fail_lost(context);
            continue;
        }
        occupied_ = occupation::none;
        (void)take_answer(context); // throws what ended it
        (void)run_script(release_stream_savepoint);
        return {};
    }
}

} // namespace detail
} // namespace tenon
