// libpqxx inside a tenon transaction. Opt-in: it includes libpqxx.
//
//     tenon::transaction tx{db};
//     users.insert(ada);
//     tenon::as_pqxx(tx).exec("refresh materialized view report");
//     tx.commit();
//
// And types that libpqxx converts as columns: see `pqxx_text`.
#pragma once

#include <exception>
#include <string>

#include <pqxx/pqxx>

#include <tenon/codec/text.hpp>
#include <tenon/core/literal.hpp>
#include <tenon/pg/transaction.hpp>

namespace tenon {

/// The transaction as libpqxx sees it, on the same session; valid until `tx` ends. It cannot be committed
/// or aborted through libpqxx: that is for `tx` to do, which also notices statements that failed here.
/// Throws connection_lost when the session is broken.
[[nodiscard]] pqxx::dbtransaction& as_pqxx(transaction& tx);

/// A codec for a type that libpqxx converts (`pqxx::string_traits`), through PostgreSQL's text format; `Type` is the
/// column's type as SQL spells it:
///
///     template <>
///     struct tenon::codec<point> : tenon::pqxx_text<point, "point"> {};
///
/// Columns and parameters; raw SQL selects such a column as column::text. COPY, arrays and composites are binary and
/// refuse it.
template <class T, literal Type>
struct pqxx_text {
    static constexpr pg_type type{Type.view()};
    static constexpr bool text_format = true;

    static void encode(const T& value, buffer& out) {
        const std::string text = pqxx::to_string(value);
        detail::refuse_nul(text);
        out.append(text);
        out.put(char{0}); // libpq looks for the end of a text parameter
    }
    static T decode(wire_value value) {
        if (value.is_null())
            detail::throw_bad_value(value, type.name);
        try {
            return pqxx::from_string<T>(value.bytes());
        } catch (const std::exception&) { // its message quotes the text
            detail::throw_decode_error("libpqxx could not read the text of a " + std::string(type.name));
        }
    }
};

} // namespace tenon
