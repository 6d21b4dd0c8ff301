// A part of a transaction that can fail alone.
#pragma once

#include <string>
#include <type_traits>

#include <tenon/pg/transaction.hpp>

namespace tenon {

/// Leaving the scope without `release()` undoes everything since the savepoint and makes a transaction
/// usable again in which a statement failed meanwhile. Savepoints nest; end them in reverse order.
class savepoint {
public:
    /// Costs no round trip: it is sent, and ended, with the statement that follows.
    /// Throws usage_error when the transaction has ended, or is occupied by a pipeline, a stream or a COPY.
    explicit savepoint(transaction& tx);
    savepoint(const savepoint&) = delete;
    savepoint& operator=(const savepoint&) = delete;
    ~savepoint();

    /// Keeps what was done since; it is stored when the transaction commits.
    /// Throws failed_transaction when a statement has failed since.
    void release();

    /// Undoes what was done since. Throws usage_error while a pipeline, a stream or a COPY occupies the transaction.
    void rollback();

private:
    void undo();

    transaction& transaction_;
    std::string name_;
    bool open_ = true;
};

template <class Body>
decltype(auto) transaction::transact(Body&& body) {
    savepoint part(*this);
    if constexpr (std::is_void_v<std::invoke_result_t<Body&, transaction&>>) {
        body(*this);
        part.release();
    } else {
        decltype(auto) made = body(*this);
        part.release();
        return made;
    }
}

} // namespace tenon
