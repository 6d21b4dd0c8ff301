// All of tenon but its opt-in parts: <tenon/codec/json.hpp> (nlohmann), <tenon/pg/pqxx_interop.hpp>
// (libpqxx) and <tenon/testing/...>.
#pragma once

#include <tenon/codec/codecs.hpp>
#include <tenon/core/error.hpp>
#include <tenon/core/id.hpp>
#include <tenon/core/literal.hpp>
#include <tenon/core/observer.hpp>
#include <tenon/core/slow_statements.hpp>
#include <tenon/core/sqlstate.hpp>
#include <tenon/pg/advisory_lock.hpp>
#include <tenon/pg/caller.hpp>
#include <tenon/pg/connection.hpp>
#include <tenon/pg/copy_in.hpp>
#include <tenon/pg/deadline.hpp>
#include <tenon/pg/listener.hpp>
#include <tenon/pg/pipeline.hpp>
#include <tenon/pg/pool.hpp>
#include <tenon/pg/query.hpp>
#include <tenon/pg/row_source.hpp>
#include <tenon/pg/savepoint.hpp>
#include <tenon/pg/transact.hpp>
#include <tenon/pg/transaction.hpp>
#include <tenon/repository/create_table.hpp>
#include <tenon/repository/repository.hpp>
#include <tenon/repository/selection.hpp>
#include <tenon/repository/stream.hpp>
#include <tenon/sql/column.hpp>
#include <tenon/sql/condition.hpp>
#include <tenon/sql/ordering.hpp>
#include <tenon/sql/table.hpp>
#include <tenon/version.hpp>
