@echo off
rem Starts Pincel by a double click; options go to launch.py. The window stays open, so that its last words can be read.
setlocal
cd /d "%~dp0..\.."
set "RUN_WITH="
where py >nul 2>nul && set "RUN_WITH=py -3"
if not defined RUN_WITH where python >nul 2>nul && set "RUN_WITH=python"
if not defined RUN_WITH (
    echo Python is missing. Install Python 3.11 or newer from python.org and tick "Add python.exe to PATH".
    pause
    exit /b 1
)
%RUN_WITH% launch.py %*
set "CODE=%ERRORLEVEL%"
if not "%CODE%"=="0" echo Pincel ended with exit code %CODE%; docs\operators.md explains it.
pause
exit /b %CODE%
