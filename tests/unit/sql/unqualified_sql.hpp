// Finds names in SQL that are looked up in the search_path: whoever may create in one of its schemas can put an object
// of his own in front of such a name.
//
// It knows the SQL that tenon writes, not all of SQL: what it does not know it reports.
#pragma once

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon::tests {

/// Whose tables are meant.
enum class sql_about {
    own_tables,  ///< all must be qualified
    users_tables ///< tables, and operators on their columns, are found by the application's search_path
};

namespace unqualified {

using words = std::set<std::string, std::less<>>;

inline const words verbs{"alter",   "analyze",    "begin",    "call",     "close",    "comment",   "commit", "copy",
                         "create",  "deallocate", "declare",  "delete",   "discard",  "do",        "drop",   "execute",
                         "explain", "fetch",      "grant",    "insert",   "listen",   "lock",      "merge",  "notify",
                         "prepare", "release",    "reset",    "revoke",   "rollback", "savepoint", "select", "set",
                         "show",    "start",      "truncate", "unlisten", "update",   "vacuum",    "values", "with"};

// Words that a literal begins with which goes on with a statement.
inline const words clauses{"and",  "any",   "as",     "case",      "cross", "default", "else",  "end",  "exists", "for",
                           "from", "group", "having", "in",        "inner", "is",      "join",  "left", "limit",  "not",
                           "on",   "or",    "order",  "returning", "then",  "union",   "using", "when", "where"};

// Words of people's sentences that tenon's SQL does not have.
inline const words prose{"an",   "are",   "be", "can",   "cannot", "here", "has",  "have", "it",   "its",
                         "must", "needs", "of", "takes", "that",   "the",  "this", "was",  "were", "write"};

// What may stand in front of a parenthesis without being a function, unless it is a name with a schema.
inline const words before_parenthesis{
    "cast",     "all",    "and",       "any",      "array",     "as",      "bit",       "by",           "case",
    "char",     "check",  "coalesce",  "conflict", "copy",      "stdin",   "stdout",    "decimal",      "default",
    "distinct", "else",   "except",    "exists",   "extract",   "filter",  "float",     "from",         "greatest",
    "if",       "insert", "intersect", "join",     "key",       "lateral", "least",     "materialized", "not",
    "numeric",  "on",     "operator",  "or",       "over",      "perform", "returning", "row",          "select",
    "set",      "some",   "then",      "time",     "timestamp", "union",   "unique",    "values",       "varchar",
    "when",     "where",  "with"};

// Words that no name of a type follows where one is wanted.
inline const words keywords{"add",       "all",    "and",   "any",      "as",           "asc",     "begin",   "by",
                            "case",      "column", "desc",  "distinct", "do",           "else",    "end",     "exists",
                            "for",       "from",   "group", "having",   "if",           "in",      "insert",  "into",
                            "is",        "join",   "key",   "limit",    "materialized", "not",     "nothing", "null",
                            "on",        "only",   "or",    "order",    "over",         "perform", "raise",   "return",
                            "returning", "select", "set",   "table",    "then",         "union",   "update",  "using",
                            "values",    "when",   "where", "with"};

// Types whose names SQL's grammar takes for itself: no search_path is asked.
inline const words types_of_the_grammar{"bigint",  "bit",   "boolean",  "char",    "character", "dec",      "decimal",
                                        "double",  "float", "int",      "integer", "interval",  "national", "nchar",
                                        "numeric", "real",  "smallint", "time",    "timestamp", "varchar"};

inline const words types{
    "bool",         "box",       "bpchar",        "bytea",     "cid",      "cidr",         "circle",      "date",
    "float4",       "float8",    "inet",          "int2",      "int4",     "int8",         "json",        "jsonb",
    "jsonpath",     "line",      "macaddr",       "money",     "name",     "oid",          "path",        "pg_lsn",
    "point",        "polygon",   "record",        "refcursor", "regclass", "regnamespace", "regoper",     "regproc",
    "regprocedure", "regrole",   "regtype",       "text",      "tid",      "timetz",       "timestamptz", "trigger",
    "tsquery",      "tsvector",  "txid_snapshot", "uuid",      "varbit",   "void",         "xid",         "xid8",
    "xml",          "int4range", "int8range",     "numrange",  "tsrange",  "tstzrange",    "daterange"};

struct sql_token {
    enum class kind { word, quoted, number, string, parameter, op, mark };
    kind what;
    std::string text; // words in lower case
};

inline constexpr std::string_view operator_characters = "+-*/<>=~!@#%^&|`?";

class sql_tokens {
public:
    explicit sql_tokens(std::string_view sql) {
        for (std::size_t at = 0; at < sql.size();)
            at = take(sql, at);
    }

    [[nodiscard]] std::size_t size() const noexcept { return list_.size(); }
    [[nodiscard]] const sql_token& operator[](std::size_t i) const noexcept {
        static const sql_token none{sql_token::kind::mark, ""};
        return i < list_.size() ? list_[i] : none; // before the first one, too
    }
    [[nodiscard]] bool is(std::size_t i, std::string_view text) const noexcept {
        const sql_token& one = (*this)[i];
        return one.text == text && one.what != sql_token::kind::string && one.what != sql_token::kind::quoted;
    }
    [[nodiscard]] bool is_name(std::size_t i) const noexcept {
        const sql_token::kind what = (*this)[i].what;
        return what == sql_token::kind::word || what == sql_token::kind::quoted;
    }

private:
    std::vector<sql_token> list_{};

    std::size_t take(std::string_view sql, std::size_t at) {
        const auto is_word = [](char c) {
            return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' ||
                   (static_cast<unsigned char>(c) >= 128);
        };
        const auto end_of = [&](auto part) {
            return static_cast<std::size_t>(
                std::find_if_not(sql.begin() + static_cast<std::ptrdiff_t>(at), sql.end(), part) - sql.begin());
        };
        const auto put = [&](sql_token::kind what, std::size_t end) {
            std::string text(sql.substr(at, end - at));
            if (what == sql_token::kind::word)
                std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
            list_.push_back({what, std::move(text)});
            return end;
        };
        const char c = sql[at];
        if (std::isspace(static_cast<unsigned char>(c)) != 0)
            return at + 1;
        if (sql.substr(at).starts_with("--"))
            return std::min(sql.find('\n', at), sql.size());
        if (sql.substr(at).starts_with("$$")) // a function's body is read like the rest
            return at + 2;
        if (c == '\'' || c == '"') {
            std::size_t end = at + 1;
            while (end < sql.size() && (sql[end] != c || (end + 1 < sql.size() && sql[end + 1] == c)))
                end += sql[end] == c ? 2U : 1U;
            return put(c == '"' ? sql_token::kind::quoted : sql_token::kind::string, std::min(end + 1, sql.size()));
        }
        if (std::isdigit(static_cast<unsigned char>(c)) != 0)
            return put(sql_token::kind::number, end_of([&](char x) { return is_word(x) || x == '.'; }));
        if (is_word(c))
            return put(sql_token::kind::word, end_of(is_word));
        if (c == '$') {
            ++at;
            return put(sql_token::kind::parameter, end_of(is_word));
        }
        for (const std::string_view mark : {"::", ":=", "=>"})
            if (sql.substr(at).starts_with(mark))
                return put(sql_token::kind::mark, at + 2);
        if (operator_characters.find(c) != std::string_view::npos)
            return put(sql_token::kind::op,
                       end_of([](char x) { return operator_characters.find(x) != std::string_view::npos; }));
        return put(sql_token::kind::mark, at + 1);
    }
};

class sql_reader {
public:
    sql_reader(std::string_view sql, sql_about about) : sql_(sql), about_(about) {
        for (std::size_t i = 0; i < sql_.size(); ++i)
            if (sql_.is(i, "as") && (sql_.is(i + 1, "(") || (sql_.is(i + 1, "materialized") && sql_.is(i + 2, "("))))
                parts_.insert(sql_[i - 1].text);
    }

    std::vector<std::string> read() {
        for (at_ = 0; at_ < sql_.size(); ++at_) {
            follow_set();
            functions();
            types_in_casts();
            types_of_columns();
            catalogs();
            if (about_ == sql_about::own_tables) {
                operators();
                hidden_operators();
                relations();
            }
        }
        return std::move(found_);
    }

private:
    sql_tokens sql_;
    sql_about about_;
    words parts_{}; // names that WITH gives
    std::vector<std::string> found_{};
    std::size_t at_ = 0;
    int depth_ = 0;
    int set_depth_ = -1; // of the SET whose assignments are read

    [[nodiscard]] bool qualified() const { return sql_.is(at_ - 1, "."); }

    void report(const std::string& what, std::string_view how) {
        std::string place;
        for (std::size_t i = at_ < 3 ? 0 : at_ - 3; i < std::min(at_ + 4, sql_.size()); ++i)
            place.append(place.empty() ? "" : " ").append(sql_[i].text);
        found_.push_back(what + " " + sql_[at_].text + " in `" + place + "`: " + std::string(how));
    }

    void follow_set() {
        if (sql_.is(at_, "("))
            ++depth_;
        else if (sql_.is(at_, ")")) {
            if (--depth_ < set_depth_)
                set_depth_ = -1;
        } else if (sql_.is(at_, "set"))
            set_depth_ = depth_;
        else if (sql_.is(at_, "where") || sql_.is(at_, "from") || sql_.is(at_, "returning") || sql_.is(at_, ";"))
            set_depth_ = depth_ == set_depth_ ? -1 : set_depth_;
    }

    void functions() {
        const bool called = sql_.is(at_ + 1, "(") && sql_.is_name(at_) && !qualified();
        if (!called || (sql_[at_].what == sql_token::kind::word && before_parenthesis.contains(sql_[at_].text)))
            return;
        if (sql_.is(at_, "in") || sql_.is(at_, "using"))
            return; // hidden operators
        for (const std::string_view named : {"into", "table", "exists", "copy", "as"})
            if (sql_.is(at_ - 1, named))
                return; // a table or an alias with a list of columns
        report("function", "write pg_catalog. in front");
    }

    void types_in_casts() {
        if (sql_.is(at_, "cast") && sql_.is(at_ + 1, "("))
            report("keyword", "write value::type");
        if (!sql_.is(at_ - 1, "::") || sql_[at_].what == sql_token::kind::op)
            return;
        if (!types_of_the_grammar.contains(sql_[at_].text) && !sql_.is(at_ + 1, "."))
            report("type", "write pg_catalog. in front");
    }

    // `name type` in CREATE TABLE and in the parameters of a function, and what one returns.
    void types_of_columns() {
        if (sql_[at_].what != sql_token::kind::word || !types.contains(sql_[at_].text) || qualified() ||
            sql_.is(at_ + 1, ".") || sql_.is(at_ - 1, "::"))
            return;
        const bool behind_name = sql_.is_name(at_ - 1) && (sql_[at_ - 1].what == sql_token::kind::quoted ||
                                                           !keywords.contains(sql_[at_ - 1].text));
        if (behind_name)
            report("type", "write pg_catalog. in front");
    }

    void catalogs() {
        if (sql_[at_].what != sql_token::kind::word || qualified() || sql_.is(at_ + 1, "(") || sql_.is(at_ - 1, "::"))
            return;
        if (sql_[at_].text.starts_with("pg_") && sql_[at_].text != "pg_catalog" && sql_[at_].text != "pg_temp")
            report("name", "write pg_catalog. in front");
    }

    void operators() {
        if (sql_[at_].what != sql_token::kind::op)
            return;
        const bool named = sql_.is(at_ - 1, ".") && sql_.is(at_ - 2, "pg_catalog") && sql_.is(at_ - 3, "(") &&
                           sql_.is(at_ - 4, "operator");
        if (named)
            return;
        if (sql_.is(at_, "*"))
            for (const std::string_view before : {"(", ".", ",", "select", "returning", "unlisten"})
                if (sql_.is(at_ - 1, before))
                    return; // all columns
        if (sql_.is(at_, "=") && depth_ == set_depth_ && sql_.is_name(at_ - 1) &&
            (sql_.is(at_ - 2, "set") || sql_.is(at_ - 2, ",") || sql_.is(at_ - 2, "local")))
            return; // an assignment
        if (sql_.is(at_, "=") && (sql_.is(at_ - 1, "errcode")))
            return; // of RAISE ... USING
        report("operator", "write operator(pg_catalog...)");
    }

    // What the grammar turns into an operator by its bare name.
    void hidden_operators() {
        if (sql_[at_].what != sql_token::kind::word || qualified())
            return;
        for (const std::string_view word :
             {"between", "ilike", "like", "natural", "nullif", "overlaps", "similar", "symmetric"})
            if (sql_.is(at_, word))
                report("operator behind", "write it out with operator(pg_catalog...)");
        if ((sql_.is(at_, "in") || sql_.is(at_, "using")) && sql_.is(at_ + 1, "("))
            report("operator = behind", "write operator(pg_catalog.=), with any (...) for a list");
        if (sql_.is(at_, "case") && !sql_.is(at_ + 1, "when"))
            report("operator = behind", "write case when ... operator(pg_catalog.=) ...");
        if (sql_.is(at_, "distinct") && sql_.is(at_ + 1, "from"))
            report("operator = behind", "it cannot be qualified: compare in another way");
    }

    void relations() {
        bool named = false;
        for (const std::string_view word : {"copy", "from", "into", "join", "only", "table", "update"})
            named = named || sql_.is(at_, word);
        if (!named || qualified() || (sql_.is(at_, "only") && sql_.is(at_ - 1, "read"))) // BEGIN ... READ ONLY
            return;
        std::size_t name = at_ + 1;
        for (const std::string_view word : {"only", "if", "not", "exists"})
            name += sql_.is(name, word) ? 1U : 0U;
        if (!sql_.is_name(name) || keywords.contains(sql_[name].text) || sql_.is(name + 1, ".") ||
            parts_.contains(sql_[name].text))
            return;
        const bool called = sql_.is(name + 1, "(") && (sql_.is(at_, "from") || sql_.is(at_, "join"));
        if (called || sql_.is(name, "lateral") || sql_.is(name, "set") || sql_.is(name, "stdin") ||
            sql_.is(name, "stdout") || sql_.is(name, "tenon_stream") || sql_.is(at_ - 1, "temporary") ||
            sql_.is(at_ - 1, "distinct"))
            return;
        report("table " + sql_[name].text + " behind", "write its schema in front");
    }
};

} // namespace unqualified

/// One sentence for each finding, none if all is qualified.
[[nodiscard]] inline std::vector<std::string> unqualified_in(std::string_view sql,
                                                             sql_about about = sql_about::own_tables) {
    return unqualified::sql_reader(sql, about).read();
}

/// The string literals of C++ source outside of comments and #include, adjacent ones put together.
[[nodiscard]] inline std::vector<std::string> literals_of(std::string_view source) {
    std::vector<std::string> found;
    bool adjacent = false;
    const auto put = [&](std::string text) {
        if (adjacent)
            found.back() += text;
        else
            found.push_back(std::move(text));
        adjacent = true;
    };
    for (std::size_t at = 0; at < source.size();) {
        const std::string_view rest = source.substr(at);
        const char c = source[at];
        const bool in_word = at > 0 && (std::isalnum(static_cast<unsigned char>(source[at - 1])) != 0);
        if (rest.starts_with("//") || rest.starts_with("#include")) {
            at = std::min(source.find('\n', at), source.size());
        } else if (rest.starts_with("/*")) {
            at = std::min(source.find("*/", at), source.size() - 2) + 2;
        } else if (rest.starts_with("R\"") && !in_word) {
            const std::size_t open = source.find('(', at);
            const std::string close = ")" + std::string(source.substr(at + 2, open - at - 2)) + "\"";
            const std::size_t end = source.find(close, open);
            put(std::string(source.substr(open + 1, end - open - 1)));
            at = end + close.size();
        } else if (c == '"') {
            std::string text;
            for (++at; at < source.size() && source[at] != '"'; ++at) {
                if (source[at] == '\\')
                    ++at;
                text += source[at];
            }
            put(std::move(text));
            ++at;
        } else if (c == '\'' && !in_word) { // in a number it parts digits
            at += source[at + 1] == '\\' ? 3U : 2U;
            at = std::min(source.find('\'', at), source.size() - 1) + 1;
            adjacent = false;
        } else {
            adjacent = adjacent && std::isspace(static_cast<unsigned char>(c)) != 0;
            ++at;
        }
    }
    return found;
}

/// Whether a literal is SQL or a part of it, rather than a sentence for people.
[[nodiscard]] inline bool looks_like_sql(std::string_view literal) {
    const unqualified::sql_tokens text(literal);
    std::size_t first = 0;
    while (text.is(first, ")") || text.is(first, ";") || text.is(first, ",") || text.is(first, "("))
        ++first;
    if (text.is(first, "::"))
        return true;
    if (text[first].what != unqualified::sql_token::kind::word || text.is(first + 1, ":"))
        return false;
    if (!unqualified::verbs.contains(text[first].text) && !unqualified::clauses.contains(text[first].text))
        return false;
    const auto upper = [](unsigned char c) { return std::isupper(c) != 0; };
    const auto begin = std::ranges::find_if(literal, [](unsigned char c) { return std::isalpha(c) != 0; });
    const auto end = begin + static_cast<std::ptrdiff_t>(text[first].text.size());
    if (std::any_of(begin, end, upper) && !std::all_of(begin, end, upper))
        return false; // "Values = "
    for (std::size_t i = first; i < text.size(); ++i)
        if (text[i].what == unqualified::sql_token::kind::word && unqualified::prose.contains(text[i].text) &&
            !text.is(i - 1, "."))
            return false;
    return true;
}

} // namespace tenon::tests
