#include "pool_leases.hpp"

#include <algorithm>

#include "session.hpp"

namespace tenon::detail {

void pool_leases::begin(session* lent, caller where, clock::time_point now) {
    lent->lease.where = where;
    lent->lease.lent_at = now;
    lent->lease.reported = false;
    lent->lease.place = lent_.size();
    lent_.push_back(lent);
}

void pool_leases::end(const session* returned) noexcept {
    const std::size_t place = returned->lease.place;
    lent_[place] = lent_.back();
    lent_[place]->lease.place = place;
    lent_.pop_back();
}

std::string pool_leases::oldest() const {
    if (lent_.empty())
        return {};
    const lease_record& lease =
        (*std::ranges::min_element(lent_, {}, [](const session* each) { return each->lease.lent_at; }))->lease;
    const auto tenths =
        std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - lease.lent_at).count() / 100;
    return "the oldest was lent " + std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s ago at " +
           lease.where.file + ":" + std::to_string(lease.where.line);
}

std::vector<leak_event> pool_leases::late(clock::duration longest, std::string_view pool) {
    const auto now = clock::now();
    std::vector<leak_event> found;
    for (session* const each : lent_) {
        lease_record& lease = each->lease;
        if (lease.reported || now - lease.lent_at <= longest)
            continue;
        lease.reported = true;
        found.push_back(
            {.pool = pool, .file = lease.where.file, .line = lease.where.line, .held = now - lease.lent_at});
    }
    return found;
}

} // namespace tenon::detail
