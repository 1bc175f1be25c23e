from twisted.application.service import ServiceMaker

crush = ServiceMaker("txcrush", "txcrush.tap", "A server for AI coding agents.", "crush")
