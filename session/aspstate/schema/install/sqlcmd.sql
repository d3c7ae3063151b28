-- For sqlcmd, and for SQL Server Management Studio in SQLCMD mode (menu Query): they stop at the first error. Other
-- programs execute nothing: after an error the rest could run in another database.
:on error exit
:setvar SqlCmd "on"
GO
IF N'$(SqlCmd)' <> N'on'
BEGIN
    PRINT N'This script wants SQLCMD mode.'
    SET NOEXEC ON
END
GO
