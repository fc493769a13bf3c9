create table users (
  id bigint generated always as identity primary key,
  name text not null,
  email text not null unique,
  last_login timestamptz
);
insert into users (name, email)
select initcap(first) || ' ' || initcap(last), first || '.' || last || '@example.org'
from unnest('{ada,bob,cleo,dan,eve,finn,gina,hugo,ines,jon}'::text[]) as first,
  generate_series(1, 100) as n,
  concat('smith', n) as last;
select caravan.track('users', '{name, email}');
