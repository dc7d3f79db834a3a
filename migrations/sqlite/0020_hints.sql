-- A file tells of each change by itself.
select 1;
