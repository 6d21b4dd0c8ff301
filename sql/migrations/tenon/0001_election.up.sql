-- Elections: who may lead, and since which term.

-- Every name is qualified, types and operators too: others may create in the search_path of whoever installs or calls
-- this. So no function needs a search_path of its own, which would cost the fence a fifth of its time.

-- One row for each election, written by whoever wins it and never deleted: terms must not begin again.
create table tenon.election_term (
    region      pg_catalog.text not null,
    name        pg_catalog.text not null,
    term        bigint not null,
    timeline    integer not null,            -- of the server's history when the term began: a promotion begins another
    id          pg_catalog.uuid not null,    -- tells apart two terms with one number, after a promotion that lost one
    candidate   pg_catalog.text not null,
    backend_pid integer not null,            -- of the session that holds the lock
    elected_at  pg_catalog.timestamptz not null,
    primary key (region, name)
);

-- What is wished of candidates.
create table tenon.election_candidate (
    region          pg_catalog.text not null,
    name            pg_catalog.text not null,
    candidate       pg_catalog.text not null,
    excluded        boolean not null default false,
    preferred_until pg_catalog.timestamptz,
    primary key (region, name, candidate)
);

-- The highest token that a resource outside of the leader's own database has seen.
create table tenon.fence_guard (
    resource pg_catalog.text primary key,
    timeline integer not null,
    term     bigint not null,
    id       pg_catalog.uuid not null
);

-- Keys of advisory locks. Kind 0 is held by the leader, 2 shared by all candidates, 3 by each under its own name. Kind 1
-- keeps terms apart: shared by the leader's transactions until they end, exclusive while a term begins.
-- Here and in the next one names are resolved now, once and for all, not when it is called.
create function tenon.election_key(region pg_catalog.text, name pg_catalog.text, kind bigint) returns bigint
    language sql immutable strict parallel safe
    return pg_catalog.hashtextextended(name, pg_catalog.hashtextextended(region, kind));

-- Who holds one of them.
create function tenon.election_holders(key bigint) returns setof integer
    language sql stable strict
    begin atomic
        select l.pid from pg_catalog.pg_locks l
        where l.locktype operator(pg_catalog.=) 'advisory' and l.granted and l.objsubid operator(pg_catalog.=) 1
          and l.classid::bigint operator(pg_catalog.=)
              ((key operator(pg_catalog.>>) 32) operator(pg_catalog.&) 4294967295)
          and l.objid::bigint operator(pg_catalog.=) (key operator(pg_catalog.&) 4294967295)
          and l.database operator(pg_catalog.=)
              (select d.oid from pg_catalog.pg_database d
               where d.datname operator(pg_catalog.=) pg_catalog.current_database());
    end;

-- The fence: nothing of the transaction is stored unless this term is the last one, and none begins before it ends. The
-- lock comes first, so that what is read then stays true. At the higher isolation levels the snapshot may be older than
-- the lock: FOR SHARE refuses a row that was changed since (40001). A leader that is stopped in the middle is ended by the
-- server after `patience`.
create function tenon.require_term(of_region pg_catalog.text, of_name pg_catalog.text, of_term bigint,
                                   of_id pg_catalog.uuid, patience pg_catalog.text) returns pg_catalog.void
    language plpgsql as $$
begin
    perform pg_catalog.pg_advisory_xact_lock_shared(tenon.election_key(of_region, of_name, 1));
    if pg_catalog.current_setting('transaction_isolation') operator(pg_catalog.=) 'read committed' then
        perform from tenon.election_term t
            where t.region operator(pg_catalog.=) of_region and t.name operator(pg_catalog.=) of_name
              and t.term operator(pg_catalog.=) of_term and t.id operator(pg_catalog.=) of_id;
    else
        perform from tenon.election_term t
            where t.region operator(pg_catalog.=) of_region and t.name operator(pg_catalog.=) of_name
              and t.term operator(pg_catalog.=) of_term and t.id operator(pg_catalog.=) of_id
            for share;
    end if;
    if not found then
        raise exception 'term % of election % is over', of_term, of_name using errcode = 'TN001';
    end if;
    if pg_catalog.current_setting('idle_in_transaction_session_timeout') operator(pg_catalog.=) '0'
       or pg_catalog.current_setting('idle_in_transaction_session_timeout')::interval
          operator(pg_catalog.>) patience::interval then
        perform pg_catalog.set_config('idle_in_transaction_session_timeout', patience, true);
    end if;
end
$$;
