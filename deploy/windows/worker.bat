@echo off
rem Draws for a bot on another machine, by a double click. The first time: save the invite as a text file and drop that
rem file on this one; it is kept.
if "%~1"=="" (
    call "%~dp0start.bat" worker
) else (
    call "%~dp0start.bat" worker --invite "%~f1"
)
exit /b %ERRORLEVEL%
