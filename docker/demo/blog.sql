create table members (
  user_id bigint primary key,
  nickname text not null,
  mail text not null,
  posts integer not null default 0
);
insert into members (user_id, nickname, mail) values (-1, 'editor', 'editor@blog.example.org');
