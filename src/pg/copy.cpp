// COPY in both directions, and rows one by one: what occupies a session over several calls.
#include <poll.h>

#include <cstring>
#include <string>
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

// One result a row, so that nothing piles up.
class single_rows final : public row_source {
public:
    single_rows(detail::session& on, const statement& what, parameters& values)
        : session_(on), context_(detail::session::context_of(what)) {
        session_.start_rows(what, values);
    }
    ~single_rows() override {
        if (!ended_)
            session_.stop_rows();
    }

    bool next(std::span<wire_value> values) override {
        if (ended_)
            return false;
        try {
            row_ = session_.next_row(context_);
        } catch (const std::exception&) {
            ended_ = true;
            throw;
        }
        if (row_.empty()) {
            ended_ = true;
            return false;
        }
        row_.row(0, values);
        return true;
    }

private:
    detail::session& session_;
    detail::statement_context context_;
    result row_;
    bool ended_ = false;
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
    return std::make_unique<single_rows>(session_access::of(tx), what, values);
}

std::unique_ptr<row_source> open_copy_out(transaction& tx, const statement& what) {
    return std::make_unique<copied_rows>(session_access::of(tx), what);
}

copy_in::copy_in(transaction& tx, const statement& what, std::span<const std::size_t> fields)
    : session_(&session_access::of(tx)), what_(what), elements_(session_->start_copy_in(what, fields)) {
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

void session::start_rows(const statement& what, parameters& values) {
    take_over();
    prepared* ready = find_prepared(what);
    if (ready == nullptr)
        ready = &prepare(what);
    (void)run_script(stream_savepoint);
    const statement_context context = context_of(what);
    if (!send_prepared(what, *ready, values) || PQsetSingleRowMode(connection_) != 1)
        fail_lost(context);
    flush(context);
    occupied_ = occupation::rows;
}

result session::next_row(const statement_context& context) {
    auto until = deadline();
    pg_result_ptr row = next_result(until, context);
    if (row && PQresultStatus(row.get()) == PGRES_SINGLE_TUPLE)
        return result(row.release());
    occupied_ = occupation::none;
    if (row && PQresultStatus(row.get()) == PGRES_FATAL_ERROR) {
        while (next_result(until, context)) {
        }
        throw_failure(row.get(), context);
    }
    while (row)
        row = next_result(until, context);
    if (!is_open())
        fail_lost(context);
    (void)run_script(release_stream_savepoint);
    return {};
}

void session::stop_rows() noexcept {
    if (!is_open())
        return;
    try {
        cancel();
        statement_deadline_ = clock::time_point::max();
        auto until = clock::now() + std::chrono::seconds(10);
        const statement_context context{.operation = "rest of a stream"};
        while (const pg_result_ptr rest = next_result(until, context))
            if (PQresultStatus(rest.get()) == PGRES_COPY_OUT)
                for (char* bytes = nullptr; PQgetCopyData(connection_, &bytes, 0) > 0;)
                    PQfreemem(bytes);
        occupied_ = occupation::none;
        // Whether the cancellation came in time or not: the transaction is as it was before the stream.
        (void)run_script(undo_stream_savepoint);
    } catch (const std::exception& failure) {
        lost_ = true;
        lost_reason_ = std::string("a stream could not be ended: ") + failure.what();
    }
}

void session::cancel() noexcept {
    PGcancel* const handle = PQgetCancel(connection_);
    char reason[256]; // NOLINT(modernize-avoid-c-arrays): what PQcancel asks for
    if (handle != nullptr)
        (void)PQcancel(handle, reason, sizeof reason);
    PQfreeCancel(handle);
}

void session::require_same_types(const statement& what, std::span<const std::size_t> fields,
                                 std::vector<oid>* elements) {
    const std::vector<oid>& types = check_record(*what.record);
    std::string report;
    for (const std::size_t field : fields) {
        const column_shape& column = what.record->columns[field];
        oid type = types[field];
        while (!column.value->fits(type) && types_.find(*this, type).base != 0)
            type = types_.find(*this, type).base; // a domain is copied as the type below it
        const bool inferred_type =
            column.value->text_form || column.value->type.id == 0 || column.value->element != nullptr;
        if (type != column.value->type.id && !inferred_type)
            report += "\n  " + std::string(what.record->record) + "::" + std::string(column.field) + " (" +
                      std::string(column.value->type.name) + "): column " + std::string(column.column) + " is " +
                      types_.find(*this, type).name;
        if (elements != nullptr)
            elements->push_back(column.value->element != nullptr ? types_.find(*this, type).element : 0);
    }
    if (!report.empty())
        throw schema_mismatch(
            describe(context_of(what)) +
                ": COPY converts nothing, so these fields need exactly their column's type; change them "
                "or use insert_many:" +
                report,
            {.sqlstate = "42804", .statement = std::string(what.sql)});
}

std::vector<oid> session::start_copy_in(const statement& what, std::span<const std::size_t> fields) {
    take_over();
    std::vector<oid> elements;
    require_same_types(what, fields, &elements);
    start_copy(what, PGRES_COPY_IN);
    occupied_ = occupation::copy_in;
    return elements;
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
    std::string text;
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
    return result(take_answer(context).release()).affected();
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
