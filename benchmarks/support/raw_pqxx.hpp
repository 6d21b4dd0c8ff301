// libpqxx as its documentation teaches it: prepared statements with params, fields by number, stream_to, pipeline.
//
// Times and uuids have no conversion in libpqxx: see text_forms.hpp.
#pragma once

#include <pqxx/pqxx>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dataset.hpp"
#include "text_forms.hpp"

namespace bench {

class raw_pqxx {
public:
    static constexpr const char* label = "libpqxx";

    explicit raw_pqxx(const std::string& url) : connection_(url) {
        pqxx::nontransaction(connection_).exec("set timezone to 'UTC'");
    }

    /// Before any other statement of the comparison.
    void prepare() {
        connection_.prepare("insert", sql::insert);
        connection_.prepare("find", sql::find);
        connection_.prepare("list", sql::list);
    }

    [[nodiscard]] int backend_pid() const { return connection_.backendpid(); }

    void begin() { work_.emplace(connection_); }
    void commit() {
        work_->commit();
        work_.reset();
    }

    item find(std::int64_t id) { return read<item>(work_->exec(pqxx::prepped{"find"}, pqxx::params{id}).one_row()); }

    std::vector<item> list(std::int64_t last) {
        const pqxx::result rows = work_->exec(pqxx::prepped{"list"}, pqxx::params{last});
        std::vector<item> list;
        list.reserve(static_cast<std::size_t>(rows.size()));
        for (const auto& row : rows)
            list.push_back(read<item>(row));
        return list;
    }

    template <class Use>
    void each(std::int64_t last, Use use) {
        const std::string text = "select id, token, name, note, active, score, amount, created_at, closed_at, details"
                                 " from tenon_bench.items where id <= " +
                                 std::to_string(last) + " order by id";
        for (auto [id, token, name, note, active, score, amount, created_at, closed_at, details] :
             work_->stream<std::int64_t, std::string_view, std::string_view, std::string_view, bool, double,
                           std::int32_t, std::string_view, std::optional<std::string>, std::string_view>(text)) {
            item row{.id = id,
                     .token = uuid_from(token),
                     .name = std::string(name),
                     .note = std::string(note),
                     .active = active,
                     .score = score,
                     .amount = amount,
                     .created_at = time_from(created_at),
                     .details = {std::string(details)}};
            if (closed_at)
                row.closed_at = time_from(*closed_at);
            use(row);
        }
    }

    written insert(const written& row) {
        std::optional<std::string> closed_at;
        if (row.closed_at)
            closed_at = text_of(*row.closed_at);
        pqxx::params values;
        values.reserve(9);
        values.append(row.token.to_string());
        values.append(row.name);
        values.append(row.note);
        values.append(row.active);
        values.append(row.score);
        values.append(row.amount);
        values.append(text_of(row.created_at));
        values.append(closed_at);
        values.append(row.details.text);
        const pqxx::result rows = work_->exec(pqxx::prepped{"insert"}, values);
        return read<written>(rows[0]);
    }

    /// libpqxx's pipeline takes SQL text: the query itself, or EXECUTE of a prepared statement, which its
    /// documentation does not speak of.
    std::vector<item> find_pipelined(std::span<const std::int64_t> ids, bool prepared = false) {
        const std::string text = sql::find;
        const std::string front = prepared ? "execute find(" : text.substr(0, text.size() - 2);
        pqxx::pipeline pipeline(*work_);
        pipeline.retain(static_cast<int>(ids.size()));
        std::vector<pqxx::pipeline::query_id> queries;
        queries.reserve(ids.size());
        for (const std::int64_t id : ids)
            queries.push_back(pipeline.insert(front + std::to_string(id) + (prepared ? ")" : "")));
        std::vector<item> list;
        list.reserve(ids.size());
        for (const auto query : queries)
            list.push_back(read<item>(pipeline.retrieve(query)[0]));
        return list;
    }

    void copy_in(std::span<const written> rows) {
        auto stream = pqxx::stream_to::table(
            *work_, {"tenon_bench", "written"},
            {"token", "name", "note", "active", "score", "amount", "created_at", "closed_at", "details"});
        for (const written& row : rows) {
            std::optional<std::string> closed_at;
            if (row.closed_at)
                closed_at = text_of(*row.closed_at);
            stream.write_values(row.token.to_string(), row.name, row.note, row.active, row.score, row.amount,
                                text_of(row.created_at), closed_at, row.details.text);
        }
        stream.complete();
    }

private:
    template <class Row, class Fields>
    static Row read(const Fields& from) {
        Row row{.id = from[0].template as<std::int64_t>(),
                .token = uuid_from(from[1].view()),
                .name = from[2].template as<std::string>(),
                .note = from[3].template as<std::string>(),
                .active = from[4].template as<bool>(),
                .score = from[5].template as<double>(),
                .amount = from[6].template as<std::int32_t>(),
                .created_at = time_from(from[7].view()),
                .details = {from[9].template as<std::string>()}};
        if (!from[8].is_null())
            row.closed_at = time_from(from[8].view());
        return row;
    }

    pqxx::connection connection_;
    std::optional<pqxx::work> work_;
};

} // namespace bench
