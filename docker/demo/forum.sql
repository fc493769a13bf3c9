create table profiles (
  uid bigint primary key,
  handle text not null,
  contact text not null,
  origin text not null
);
