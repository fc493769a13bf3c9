create table customer (
  id uuid primary key default gen_random_uuid(),
  account_id bigint unique,
  full_name varchar(100) not null,
  email varchar(100) not null,
  credit numeric(10, 2) not null default 0
);
