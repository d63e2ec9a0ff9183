-- Runs once, as the volume is made: lets the application's account load a backup beside its tables.
-- The account is the one that has a database; its name comes from the environment.
SELECT CONCAT('GRANT ALL ON `', db, '\\_restore\\_%`.* TO ', QUOTE(user), '@', QUOTE(host)) INTO @statement
FROM mysql.db WHERE db NOT IN ('performance_schema', 'sys') LIMIT 1;
PREPARE statement FROM @statement;
EXECUTE statement;
DEALLOCATE PREPARE statement;
