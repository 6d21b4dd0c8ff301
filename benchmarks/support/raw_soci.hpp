// SOCI as its documentation teaches it: prepared statements with `use` and `into`, values bound to variables.
//
// It has no type for uuids, json and times with microseconds: they are read as text, see text_forms.hpp.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <soci/postgresql/soci-postgresql.h>
#include <soci/soci.h>

#include "dataset.hpp"
#include "text_forms.hpp"

namespace bench {

class raw_soci {
public:
    static constexpr const char* label = "SOCI";

    explicit raw_soci(const std::string& url) : session_(soci::postgresql, url) { session_ << "set timezone to 'UTC'"; }

    /// Before any other statement of the comparison.
    void prepare() {
        const std::string columns = "select id, token::text, name, note, active::int, score, amount, created_at::text,"
                                    " coalesce(closed_at::text, ''), details::text from tenon_bench.items where id ";
        find_ = bind(columns + "= :key");
        list_ = bind(columns + "<= :key order by id");
    }

    [[nodiscard]] int backend_pid() {
        int pid = 0;
        session_ << "select pg_backend_pid()", soci::into(pid);
        return pid;
    }

    void begin() { session_.begin(); }
    void commit() { session_.commit(); }

    item find(std::int64_t id) {
        key_ = id;
        find_->execute(true);
        return read();
    }

    std::vector<item> list(std::int64_t last) {
        key_ = last;
        std::vector<item> rows;
        list_->execute();
        while (list_->fetch())
            rows.push_back(read());
        return rows;
    }

private:
    std::unique_ptr<soci::statement> bind(const std::string& sql) {
        return std::make_unique<soci::statement>(
            (session_.prepare << sql, soci::use(key_), soci::into(id_), soci::into(token_), soci::into(name_),
             soci::into(note_), soci::into(active_), soci::into(score_), soci::into(amount_), soci::into(created_at_),
             soci::into(closed_at_), soci::into(details_)));
    }

    [[nodiscard]] item read() const {
        item row{.id = id_,
                 .token = uuid_from(token_),
                 .name = name_,
                 .note = note_,
                 .active = active_ != 0,
                 .score = score_,
                 .amount = amount_,
                 .created_at = time_from(created_at_),
                 .details = {details_}};
        if (!closed_at_.empty())
            row.closed_at = time_from(closed_at_);
        return row;
    }

    soci::session session_;
    long long key_ = 0;
    long long id_ = 0;
    int active_ = 0;
    double score_ = 0;
    int amount_ = 0;
    std::string token_, name_, note_, created_at_, closed_at_, details_;
    std::unique_ptr<soci::statement> find_, list_;
};

} // namespace bench
