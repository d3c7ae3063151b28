-- The user of the login. It has the SID of the login. The login on the other partner must have the same SID; otherwise
-- it has no access after a failover.
CREATE USER {user} FOR LOGIN {login}
