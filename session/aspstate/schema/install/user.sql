-- The login's user. It has the same SID as the login: so must the login on the other partner, or it is locked out
-- after a failover.
CREATE USER {user} FOR LOGIN {login}
