-- ======== part 1, on a (sql1.example.com) ========
-- mirrorstate pair logins, database ASPState, topology mirroring.
-- Part 1 of 2, on server a (sql1.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql1.example.com -i FILE
-- Stop at the first error and fix its cause. Every step can be run again.
-- NOT CHECKED, because this was written without asking the servers:
--   - that a (sql1.example.com) is the principal
--   - that the login is sysadmin on both servers
--   - which server rights the logins have (sys.server_permissions): grant them on the other server too
USE [master];
GO

-- 1. Read the SID and the password hash of the login aspstate
SELECT CONVERT(varchar(200), sid, 1) AS sid, CONVERT(varchar(600), password_hash, 1) AS hash FROM sys.sql_logins WHERE name = N'aspstate';
GO


-- ======== part 2, on b (sql2.example.com) ========
-- mirrorstate pair logins, database ASPState, topology mirroring.
-- Part 2 of 2, on server b (sql2.example.com). Run the parts in order, each until it ends: sqlcmd -b -y 0 -S sql2.example.com -i FILE
-- Give the value that step 1 printed: sqlcmd -v LoginSid1=VALUE
-- Give the value that step 1 printed: sqlcmd -v LoginHash1=VALUE
USE [master];
GO
IF N'$(LoginSid1)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or replace the variable LoginSid1 by hand.', 1;
GO
IF N'$(LoginHash1)' LIKE N'$' + N'(%' THROW 50000, N'Run this with sqlcmd, or replace the variable LoginHash1 by hand.', 1;
GO

-- 2. This server has no login aspstate with another SID
IF NOT EXISTS (SELECT 1 AS yes WHERE NOT EXISTS (SELECT 1 FROM sys.server_principals WHERE name = N'aspstate' AND sid <> $(LoginSid1)))
  THROW 65025, N'15025: the login aspstate has another SID on this server, so its user would be orphaned after a failover; if it owns nothing on that server, run there: DROP LOGIN [aspstate]; then run pair logins again', 1;
GO

-- 3. Create the same login on this server
--    master is not mirrored. With another SID the user would be orphaned after a failover (916); with the database as its default, the login would fail on the mirror.
IF NOT EXISTS (SELECT 1 AS yes FROM sys.server_principals WHERE name = N'aspstate' AND sid = $(LoginSid1))
  CREATE LOGIN [aspstate] WITH PASSWORD = $(LoginHash1) HASHED, SID = $(LoginSid1), CHECK_POLICY = OFF, DEFAULT_DATABASE = [master];
GO


